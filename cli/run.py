"""``run``: list runs, show one, follow it, cancel it, run it again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import RunplaneError, StorageUnavailableError
from ..errors.exit_codes import ExitCode
from ..events.run import Run
from ..events.status import RunStatus
from ..instance.instance import Instance
from ..storage.contract import RunFilter
from .completion import run_ids
from .job import say, submit
from .reading import read_story
from .removing import delete, purge, wipe
from .report import as_json, at, coloured, print_end, seconds, short, step_to_json
from .step_queues import step_queue_lines, step_queues
from .verb import Verb, Verbs

_STATUSES = [status.value for status in RunStatus]


_follow_option = click.option("-F", "--follow", is_flag=True, help="Watch it; end with 1 when it does not succeed.")


@click.group("run", cls=Verbs)
def run() -> None:
    """Runs of the instance. RUN_ID may be the first characters of an id, four at least."""


@run.command("list", cls=Verb, example="runplane run list --job nightly --status FAILURE --limit 5")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="So many, the newest.")
@click.option("-j", "--job", metavar="NAME", help="Of this job only.")
@click.option("--status", type=click.Choice(_STATUSES, case_sensitive=False), multiple=True, help="Of this status.")
@click.option("--tag", "tags", metavar="KEY=VALUE", multiple=True, help="With this tag; several: with all of them.")
@click.option("--cursor", metavar="TEXT", help="Go on where a page ended (from --json).")
@click.option("--queued", is_flag=True, help="Those that wait, in the order of the queue, and what keeps each.")
@click.option("--json", "as_document", is_flag=True, help="For programs.")
def list_runs(
    limit: int,
    job: str | None,
    status: tuple[str, ...],
    tags: tuple[str, ...],
    cursor: str | None,
    queued: bool,
    as_document: bool,
) -> None:
    """List runs, newest first."""
    if queued:
        _list_queued(limit, as_document, other_filters=bool(job or status or tags or cursor))
        return
    wanted = RunFilter(
        job_name=job, statuses=tuple(RunStatus(s) for s in status) or None, tags=dict(_pair(t) for t in tags) or None
    )
    with Instance.get(say=say) as instance:
        page = instance.runs.page(wanted, cursor, limit)
    if as_document:
        click.echo(as_json({"runs": [_to_json(r) for r in page.runs], "cursor": page.cursor}))
        return
    if not page.runs:
        say("No run matches." if job or status or tags else "There is no run yet. Try: runplane job execute -f FILE")
    width = max([len(r.job_name) for r in page.runs], default=0)
    for r in page.runs:
        state = coloured(f"{r.status.value:<11}", r.status)
        took = seconds(r.ended_at - r.started_at) if r.started_at and r.ended_at else ""
        click.echo(f"{short(r.run_id)}  {r.job_name:<{width}}  {state}  {at(r.created_at)}  {took}".rstrip())
    if page.cursor:
        say(f"There are more: --limit {2 * limit} shows them.")


def _list_queued(limit: int, as_document: bool, *, other_filters: bool) -> None:
    from .queued import QueueView, queued_lines

    if other_filters:
        raise RunplaneError("--queued shows the queue as it is; only --limit and --json go with it")
    with Instance.get(say=say) as instance:
        rows = QueueView(instance).page(limit)
        ids = tuple(row["run_id"] for row in rows)
        names = {r.run_id: r.job_name for r in instance.runs.page(RunFilter(run_ids=ids), limit=max(1, len(ids))).runs}
    rows = [row for row in rows if row["run_id"] in names]
    if as_document:
        click.echo(as_json({"runs": [{**row, "job_name": names[row["run_id"]]} for row in rows]}))
        return
    for line in queued_lines(rows, names):
        click.echo(line)
    if not rows:
        say("No run waits.")


@run.command("show", cls=Verb, example="runplane run show 6b1f0000")
@click.argument("run_id", shell_complete=run_ids)
@click.option("--json", "as_document", is_flag=True, help="For programs.")
def show(run_id: str, as_document: bool) -> None:
    """Show a run: its steps and their times, why it failed, where its outputs and logs are."""
    with Instance.get(say=say) as instance:
        found = instance.runs.get(run_id)
        story = read_story(instance, found)
        if as_document:
            steps = [step_to_json(story, step) for step in story.steps.values()]
            queue = {"queue": waits} if (waits := _queued(instance, found)) else {}
            standing = {"step_queues": queues} if (queues := step_queues(instance, found)) else {}
            document = {**_to_json(found), "run_config": found.run_config, "steps": steps, "end": story.end}
            document |= {**queue, **standing}
            click.echo(as_json(document))
            return
        click.echo(f"{found.run_id}  {found.job_name}  created {at(found.created_at)}")
        for key, value in sorted(found.tags.items()):
            click.echo(f"  {key} = {value}")
        if waits := _queued(instance, found):
            from .queued import why_lines

            for line in why_lines(waits):
                click.echo(line)
        for line in step_queue_lines(step_queues(instance, found)):
            click.echo(line)
        print_end(instance, found, story)


@run.command("report", cls=Verb, example="runplane run report 6b1f0000 -o 6b1f0000.html")
@click.argument("run_id", shell_complete=run_ids)
@click.option("-o", "--output", metavar="FILE", required=True, help="Where to; conventionally RUN_ID.html.")
def report(run_id: str, output: str) -> None:
    """Write a run as one page of HTML: why it failed, graph, timeline, logs, metadata, events. It needs no network and no script."""
    from .reporting import write_report

    path = Path(output)
    with Instance.get(say=say) as instance:
        try:
            write_report(instance, instance.runs.get(run_id), path)
        except OSError as error:
            raise RunplaneError(f"can not be written: {error.strerror}", where=output) from error
    click.echo(path)


@run.command("events", cls=Verb, example="runplane run events 6b1f0000 --follow --step price")
@click.argument("run_id", shell_complete=run_ids)
@click.option("-F", "--follow", is_flag=True, help="Go on until the run is over.")
@click.option("--step", metavar="KEY", help="Of this step only.")
@click.option("--json", "as_document", is_flag=True, help="For programs: one JSON document a line.")
def events(run_id: str, follow: bool, step: str | None, as_document: bool) -> None:
    """Print the events of a run."""
    from .follow import follow_events, is_of, print_event

    with Instance.get(say=say) as instance:
        found = instance.runs.get(run_id)
        _check_step(instance, found, step)
        for event in follow_events(instance, found.run_id, follow=follow):
            if is_of(step, event.step):
                print_event(found, event, as_document=as_document)


@run.command("logs", cls=Verb, example="runplane run logs 6b1f0000 --follow")
@click.argument("run_id", shell_complete=run_ids)
@click.option("-F", "--follow", is_flag=True, help="Go on until the run is over.")
@click.option("--step", metavar="KEY", help="Of this step only.")
def logs(run_id: str, follow: bool, step: str | None) -> None:
    """Print what the steps of a run print: their stdout on stdout, their stderr on stderr."""
    from .follow import follow_logs

    with Instance.get(say=say) as instance:
        found = instance.runs.get(run_id)
        _check_step(instance, found, step)
        follow_logs(instance, found.run_id, step=step, follow=follow)


@run.command("cancel", cls=Verb, example="runplane run cancel 6b1f0000")
@click.argument("run_id", shell_complete=run_ids)
def cancel(run_id: str) -> None:
    """Ask for the end of a run. Its running steps are told to stop."""
    with Instance.get(say=say) as instance:
        found = instance.runs.get(run_id)
        if found.status.is_final:
            click.echo(f"Nothing to cancel: the run is {found.status}.")
            return
        request = instance.request_cancel(found.run_id)
        click.echo("Accepted: the request is stored.")
        follow = f"Next: runplane run events {short(found.run_id)} --follow"
        try:
            head = instance.cancel(found.run_id, request)
        except StorageUnavailableError as error:
            say(f"Not carried out yet: {error}\nThe run's worker acts on the request as soon as it can. {follow}")
            return
        click.echo(f"The run is {head.status}.")
        if not head.status.is_final:
            say(follow)


@run.command("retry", cls=Verb, example="runplane run retry 6b1f0000 --from-failure --follow")
@click.argument("run_id", shell_complete=run_ids)
@click.option(
    "--from-failure/--all",
    "from_failure",
    default=True,
    help="Run only what did not succeed, with the outputs that are there; or all steps again. [from failure]",
)
@_follow_option
@click.option("--json", "as_document", is_flag=True, help="For programs.")
def retry(run_id: str, from_failure: bool, follow: bool, as_document: bool) -> None:
    """Run a run again, as a new run of the same group, launched through the instance."""
    from ..instance.retrying import RetryStrategy, retry_request
    from .code_options import open_pointer
    from .job import startup_timeout_s

    with Instance.get(say=say) as instance:
        timeout_s = startup_timeout_s()
        found = instance.runs.get(run_id)
        strategy = RetryStrategy.FROM_FAILURE if from_failure else RetryStrategy.ALL_STEPS
        request = retry_request(instance, found, lambda code: open_pointer(code, timeout_s), strategy)
        again = submit(instance, request, as_document)
        if follow:
            _follow(instance, again)


@run.command("resume", cls=Verb, example="runplane run resume 6b1f0000 --follow")
@click.argument("run_id", shell_complete=run_ids)
@_follow_option
def resume(run_id: str, follow: bool) -> None:
    """Start another worker for a run whose worker was killed. What is stored stands; what was running runs again.

    Refused for a run whose worker lives. Where that can not be known, the new worker waits until nothing is heard of the old one.
    """
    from .resuming import resume as start_worker

    with Instance.get(say=say) as instance:
        found = instance.runs.get(run_id)
        say(start_worker(instance, found))
        click.echo(found.run_id)
        if follow:
            _follow(instance, found)


@run.command("watch", cls=Verb, example="runplane run watch 6b1f0000")
@click.argument("run_id", shell_complete=run_ids)
def watch(run_id: str) -> None:
    """Watch a run until it is over: on a terminal its steps as a table, elsewhere a line for each change.

    Ends with 0 when the run succeeded, with 1 when it failed or was canceled. Ctrl-C leaves the run alone.
    """
    with Instance.get(say=say) as instance:
        _follow(instance, instance.runs.get(run_id))


for _verb in (delete, wipe, purge):
    run.add_command(_verb)


def _follow(instance: Instance, found: Run) -> None:
    from .live import follow_to_end

    if (code := follow_to_end(instance, found)) is not ExitCode.OK:
        raise click.exceptions.Exit(int(code))


def _queued(instance: Instance, found: Run) -> dict[str, Any] | None:
    """Its place in the queue and what keeps it, while it waits."""
    if found.status is not RunStatus.QUEUED:
        return None
    from .queued import QueueView

    return QueueView(instance).of(found.run_id)


def _check_step(instance: Instance, found: Run, step: str | None) -> None:
    """Refuse a step that the plan does not have. A template (``work[?]``) stands for all its mapped steps."""
    if step is None or found.plan_id is None:
        return
    from ..errors import NotFoundError, nearest

    plan = instance.journal.get_plan(found.plan_id)
    try:
        plan.step(step)
    except KeyError:
        known = [s.key for s in plan.steps]
        raise NotFoundError(
            f"the plan of job '{found.job_name}' has no step '{step}'",
            where=f"run {short(found.run_id)}",
            nearest=nearest(step, known),
            expected=", ".join(known[:20]),
        ) from None


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise RunplaneError("a tag is KEY=VALUE", where="--tag", got=repr(text))
    return key, value


def _to_json(r: Run) -> dict[str, Any]:
    return {
        "run_id": r.run_id,
        "job_name": r.job_name,
        "status": r.status.value,
        "tags": dict(r.tags),
        "op_selection": list(r.op_selection) if r.op_selection is not None else None,
        "step_keys": list(r.step_keys) if r.step_keys is not None else None,
        "parent_run_id": r.parent_run_id,
        "root_run_id": r.root_run_id,
        "created_at": r.created_at,
        "started_at": r.started_at,
        "ended_at": r.ended_at,
    }
