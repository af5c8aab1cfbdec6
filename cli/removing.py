"""``run delete | wipe | purge``: runs that are over, deleted with all that is kept of them."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import click

from ..errors.exit_codes import ExitCode
from ..events.run import Run
from ..instance.instance import Instance
from ..instance.removal import Choice, RunRemoval
from ..storage.contract import RunFilter
from ..storage.deletion import DELETABLE, LIVE, Deletions
from .completion import run_ids as complete_run_ids
from .job import say
from .report import as_json, at, short
from .verb import Refusal, Verb

MOST_NAMED = 20
"""So many runs that were kept, or could not be deleted whole, are named; the others are counted."""
SAY_EVERY = 1000
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def _seconds_of(_ctx: click.Context, _param: click.Parameter, value: str) -> float:
    """``90s``, ``45m``, ``12h``, ``30d``, ``2w`` in seconds."""
    found = re.fullmatch(r"(\d+)([smhdw])", value)
    if found is None:
        raise click.BadParameter(f"{value!r} is no age: a number and s, m, h, d or w, for instance 30d")
    return float(int(found.group(1)) * _UNITS[found.group(2)])


@dataclass
class Tally:
    """What became of the runs that were meant."""

    deleted: int = 0
    kept: list[dict[str, str]] = field(default_factory=list)
    kept_in_all: int = 0
    unfinished: list[dict[str, str]] = field(default_factory=list)

    def keep(self, run_id: str, why: str) -> None:
        """A run was not deleted."""
        self.kept_in_all += 1
        if len(self.kept) < MOST_NAMED:
            self.kept.append({"run_id": run_id, "why": why})

    def leave(self, run_id: str, why: str) -> None:
        """A run is gone from sight, and something of it is left."""
        if len(self.unfinished) < MOST_NAMED:
            self.unfinished.append({"run_id": run_id, "why": why})


def _with_options(verb: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--json", "as_document", is_flag=True, help="For programs."),
        click.option("--dry-run", is_flag=True, help="Say what would be deleted, and delete nothing."),
        click.option("-y", "--yes", is_flag=True, help="Do not ask. Needed where there is no terminal."),
    ):
        verb = option(verb)
    return verb


@click.command("delete", cls=Verb, example="runplane run delete 6b1f0000 6b1f0001 --yes")
@click.argument("run_ids", nargs=-1, required=True, metavar="RUN_ID...", shell_complete=complete_run_ids)
@_with_options
def delete(run_ids: tuple[str, ...], yes: bool, dry_run: bool, as_document: bool) -> None:
    """Delete runs that are over, with their events, outputs and logs.

    Ends with 2 when one of them is not deleted: it is in progress, or a run of its group is and may need its outputs.
    """
    with Instance.get(say=say) as instance:
        found = {run.run_id: run for run in map(instance.runs.get, run_ids)}
        tally = _remove(instance, lambda: iter(found.values()), yes=yes, dry_run=dry_run)
    _tell(tally, dry_run=dry_run, as_document=as_document)
    if tally.kept_in_all:
        raise click.exceptions.Exit(int(ExitCode.BAD_INPUT))


@click.command("wipe", cls=Verb, example="runplane run wipe --dry-run")
@_with_options
def wipe(yes: bool, dry_run: bool, as_document: bool) -> None:
    """Delete all runs that are over, with their events, outputs and logs. Runs in progress and in the queue stay."""
    _sweep(Choice(time.time()), yes=yes, dry_run=dry_run, as_document=as_document)


@click.command("purge", cls=Verb, example="runplane run purge --older-than 30d --keep-failed --yes")
@click.option(
    "--older-than", callback=_seconds_of, required=True, metavar="AGE", help="Ended longer ago: 90s, 45m, 12h, 30d, 2w."
)
@click.option("--keep-failed", is_flag=True, help="Runs that failed stay.")
@_with_options
def purge(older_than: float, keep_failed: bool, yes: bool, dry_run: bool, as_document: bool) -> None:
    """Delete runs that ended some time ago, with their events, outputs and logs.

    It deletes run by run, in small transactions: runs in progress go on beside it. When it is killed, the next one goes on.
    """
    now = time.time()
    _sweep(Choice(now, now - older_than, keep_failed), yes=yes, dry_run=dry_run, as_document=as_document)


def _sweep(choice: Choice, *, yes: bool, dry_run: bool, as_document: bool) -> None:
    with Instance.get(say=say) as instance:
        removal = _removal(instance)
        tally = _remove(instance, lambda: removal.chosen(choice), yes=yes, dry_run=dry_run)
        live = instance.runs.count(RunFilter(statuses=tuple(s for s in LIVE if s not in DELETABLE)))
    _tell(tally, dry_run=dry_run, as_document=as_document)
    if live and not as_document:
        say(f"{_runs(live)} in progress or in the queue stay.")


def _remove(instance: Instance, meant: Callable[[], Iterable[Run]], *, yes: bool, dry_run: bool) -> Tally:
    """Delete what is meant, after a question.

    Args:
        meant: lists it, anew each time: how many there are is asked for first.
    """
    removal = _removal(instance)
    tally = Tally()
    if dry_run:
        for run in meant():
            tally.deleted += 1
            say(f"{short(run.run_id)}  {run.job_name}  {run.status}  {at(run.ended_at or run.created_at)}")
        return tally
    many = sum(1 for _ in meant())
    if many:
        _ask(many, yes=yes)
    if removal.leaves_logs:
        say(f"{type(instance.logs).__name__} can not delete: what the steps printed stays.")
    _erase(lambda: _say_finished(removal.finish_interrupted()), tally, "an earlier run")
    for run in meant():
        _erase(lambda run=run: _count(tally, removal, run), tally, run.run_id)  # type: ignore[misc]
        if tally.deleted and tally.deleted % SAY_EVERY == 0:
            say(f"{tally.deleted} of {many}")
    removal.remove_unused_plans()
    return tally


def _count(tally: Tally, removal: RunRemoval, run: Run) -> None:
    kept = removal.remove(run.run_id)
    if kept is None:
        tally.deleted += 1
    else:
        tally.keep(run.run_id, str(kept))


def _erase(work: Callable[[], None], tally: Tally, run_id: str) -> None:
    """A file that can not be removed does not keep the other runs from being deleted; it is said at the end."""
    try:
        work()
    except OSError as error:
        tally.leave(run_id, str(error))


def _say_finished(count: int) -> None:
    if count:
        say(f"Went on with a deletion that was interrupted: {_runs(count)}.")


def _removal(instance: Instance) -> RunRemoval:
    return RunRemoval(Deletions(instance.database), instance.runs, instance.home / "storage", instance.logs)


def _ask(many: int, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise Refusal(
            f"{_runs(many)} would be deleted; where nobody can be asked, say --yes (or look first: --dry-run)",
            ExitCode.BAD_INPUT,
        )
    click.confirm(f"Delete {_runs(many)} with events, outputs and logs?", abort=True, err=True)


def _tell(tally: Tally, *, dry_run: bool, as_document: bool) -> None:
    if as_document:
        click.echo(as_json({"dry_run": dry_run, **vars(tally)}))
    else:
        click.echo(f"{_runs(tally.deleted)} {'would be ' if dry_run else ''}deleted.")
        for kept in tally.kept:
            say(f"Kept: {short(kept['run_id'])}: {kept['why']}.")
        if tally.kept_in_all > len(tally.kept):
            say(f"... and {tally.kept_in_all - len(tally.kept)} more were kept.")
    for left in tally.unfinished:
        say(f"Not all of {short(left['run_id'])} could be removed: {left['why']}. The next deletion tries again.")
    if tally.unfinished:
        raise click.exceptions.Exit(int(ExitCode.FAILED))


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"
