"""Executing a run in front of a person: its worker process, its progress, Ctrl-C."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import click

from ..coordinators.failing import fail_launch
from ..engine.snapshot import PlanSnapshot
from ..errors import RunplaneError, StorageUnavailableError
from ..errors.exit_codes import ExitCode
from ..events.run import Run
from ..events.status import RunStatus
from ..instance.instance import Instance
from ..workers.foreground import ForegroundWorker
from .progress import Progress, progress_of
from .report import short
from .story import RunStory

LOOK_S = 0.25
EXIT_S = 15.0
"""How long a worker may take to leave after the end of its run."""
PAGE = 5000


@dataclass(frozen=True)
class Ended:
    """How it ended: what the events told, and the exit code."""

    story: RunStory
    code: ExitCode


def execute_here(instance: Instance, run: Run, plan: PlanSnapshot) -> Ended:
    """Run a run's worker and show its progress until it is over.

    The first interrupt (Ctrl-C, SIGTERM, SIGHUP) cancels the run, the second kills the worker. A database that is away is waited
    for: the worker does the same, and goes on.
    """
    try:
        worker = ForegroundWorker(instance, run)
    except RunplaneError as error:
        fail_launch(instance.journal, run.run_id, error)
        raise
    asked = _Interrupts(instance, worker)
    story = RunStory(plan)
    instance.wait_for_ever()
    try:
        with progress_of(run) as progress, asked.counted():
            progress.say(f"Run {short(run.run_id)} of {run.job_name}")
            _follow(instance, run, worker, story, progress, asked)
    except StorageUnavailableError as error:
        click.echo(f"{error} The run's process was killed; what became of the run is not stored.", err=True)
        raise click.exceptions.Exit(int(ExitCode.INTERRUPTED)) from error
    if story.status is None or not story.status.is_final:
        _explain_missing_end(instance, run, worker)
    if asked.count:
        return Ended(story, ExitCode.INTERRUPTED)
    return Ended(story, ExitCode.OK if story.status is RunStatus.SUCCESS else ExitCode.FAILED)


def _follow(
    instance: Instance, run: Run, worker: ForegroundWorker, story: RunStory, progress: Progress, asked: _Interrupts
) -> None:
    seen = done = 0
    while True:
        gone = worker.has_ended  # looked at before the events: what it wrote last is among them
        events = instance.tail(run.run_id, seen, PAGE)
        for event in events:
            seen = event.seq
            changed = story.take(event)
            if changed is not None:
                progress.changed(story, changed)
        if asked.count > done:
            done = _interrupt(instance, run, progress, asked.count)
        if events:
            continue
        if gone:
            return
        if story.status is not None and story.status.is_final:
            worker.wait(EXIT_S)
            return
        instance.database.wait_for_news(LOOK_S)


def _interrupt(instance: Instance, run: Run, progress: Progress, count: int) -> int:
    if count == 1:
        progress.say("Canceling the run. Ctrl-C again kills it.")
        instance.cancel(run.run_id)
    else:
        progress.say("The run's process is killed.")
        instance.cancel(run.run_id)
    return count


def _explain_missing_end(instance: Instance, run: Run, worker: ForegroundWorker) -> None:
    """The worker is gone, and the run is not over: say how it went, what it printed, and what can be done."""
    code = worker.exit_code
    how = f"by signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"with exit code {code}"
    status = instance.journal.head(run.run_id).status
    click.echo(f"The run's process ended {how}, and the run is {status}.", err=True)
    words = worker.last_words()
    if words:
        click.echo(f"At the end of {worker.log} it says:\n{words}", err=True)
    name = short(run.run_id)
    click.echo(
        f"`runplane run cancel {name}` ends it; `runplane run retry {name}` then goes on where it stopped.", err=True
    )


class _Interrupts:
    """Counts the signals that ask for an end. The second one kills the worker at once, and ends any waiting for the database."""

    def __init__(self, instance: Instance, worker: ForegroundWorker) -> None:
        self.count = 0
        self._instance = instance
        self._worker = worker

    @contextmanager
    def counted(self) -> Iterator[None]:
        """While inside, they do nothing else."""
        handler: Callable[[int, FrameType | None], None] = self._count
        before = {n: signal.signal(n, handler) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            yield
        finally:
            for number, old in before.items():
                signal.signal(number, old)

    def _count(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self.count > 1:
            self._worker.kill()
            self._instance.database.give_up()
