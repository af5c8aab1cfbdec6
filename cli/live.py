"""Following a run to its end: a table that is drawn again and again on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from ..errors.exit_codes import ExitCode
from ..events.run import Run
from ..events.status import RunStatus
from ..instance.instance import Instance
from .execute_here import LOOK_S, PAGE
from .job import say
from .progress import PlainProgress, Progress
from .reading import plan_of
from .report import coloured, print_end, seconds, short
from .story import RunStory, StepStatus, StepStory

ROWS_BESIDE = 6
"""Lines of a terminal that are not rows of the table."""
FEWEST_ROWS = 5
_ORDER = (
    StepStatus.FAILED,
    StepStatus.LOST,
    StepStatus.RETRYING,
    StepStatus.RUNNING,
    StepStatus.CANCELED,
    StepStatus.WAITING,
    StepStatus.SUCCEEDED,
    StepStatus.SKIPPED,
    StepStatus.NOT_RUN,
)
"""Which steps a terminal shows when it can not show all: first what a person has to look at."""


def follow_to_end(instance: Instance, run: Run) -> ExitCode:
    """Show a run until it is over, then how it ended. A database that is away is waited for.

    Returns:
        OK when it succeeded, else FAILED.
    """
    instance.wait_for_ever()
    story = RunStory(plan_of(instance, run))
    try:
        with _view(run) as view:
            _follow(instance, run, story, view)
    except KeyboardInterrupt:
        say(f"The run goes on. `runplane run cancel {short(run.run_id)}` ends it.")
        raise
    click.echo("")
    print_end(instance, instance.runs.get(run.run_id), story)
    return ExitCode.OK if story.status is RunStatus.SUCCESS else ExitCode.FAILED


def _follow(instance: Instance, run: Run, story: RunStory, view: Progress) -> None:
    seen = 0
    while True:
        # Before the events: what was written until the end is then among them.
        is_over = instance.journal.head(run.run_id).status.is_final
        events = instance.tail(run.run_id, seen, PAGE)
        before = story.status
        for event in events:
            seen = event.seq
            changed = story.take(event)
            if changed is not None:
                view.changed(story, changed)
        if story.status is not before:
            view.say(f"The run is {story.status}.")
        if not events:
            if is_over:
                return
            instance.database.wait_for_news(LOOK_S)


class RunTable:
    """For a terminal: the steps of a run as a table.

    Args:
        size: columns and lines of the terminal now.
    """

    def __init__(self, run: Run, size: Callable[[], tuple[int, int]], now: Callable[[], float] = time.time) -> None:
        self._run = run
        self._size = size
        self._now = now
        self._story: RunStory | None = None
        self._said = ""

    def changed(self, story: RunStory, step: StepStory) -> None:
        """See ``Progress``."""
        self._story = story

    def say(self, text: str) -> None:
        """See ``Progress``."""
        self._said = text

    def __rich__(self) -> Any:
        """The table as it is now."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        story = self._story
        head = Text(f"{self._run.job_name}  {short(self._run.run_id)}  {self._said}".rstrip())
        if story is None:
            return head
        table = Table("step", "status", "attempt", "waited", "worked", box=None, pad_edge=False)
        shown = self._chosen(story)
        for step in shown:
            waited, worked = self._times(story, step)
            attempt = str(step.attempts[-1].n) if step.attempts else ""
            status = Text.from_ansi(coloured(str(step.status), step.status))
            table.add_row(Text(step.key), status, attempt, waited, worked)
        more = len(story.steps) - len(shown)
        return Group(head, table, Text(f"{f'... and {more} more steps. ' if more else ''}{counts(story)}"))

    def _chosen(self, story: RunStory) -> list[StepStory]:
        most = max(FEWEST_ROWS, self._size()[1] - ROWS_BESIDE)
        steps = list(story.steps.values())
        if len(steps) <= most:
            return steps
        newest_first = sorted(steps, key=lambda step: -(step.ended_at or 0.0))
        return sorted(newest_first, key=lambda step: _ORDER.index(step.status))[:most]

    def _times(self, story: RunStory, step: StepStory) -> tuple[str, str]:
        if not step.attempts:
            return "", ""
        spans = story.spans(step, self._now())
        waited = sum(s.seconds for s in spans if not s.works)
        return seconds(waited), seconds(sum(s.seconds for s in spans if s.works))


def counts(story: RunStory) -> str:
    """``3 succeeded, 1 running``: how many steps stand where."""
    found = [(state, story.count(state)) for state in _ORDER]
    return ", ".join(f"{count} {state}" for state, count in found if count)


@contextmanager
def _view(run: Run) -> Iterator[Progress]:
    if not sys.stdout.isatty():
        view = PlainProgress()
        view.say(f"Run {short(run.run_id)} of {run.job_name}")
        yield view
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    table = RunTable(run, lambda: console.size)
    # On a screen of its own a table that is longer than before does not leave its old lines behind.
    with Live(
        table, console=console, transient=True, refresh_per_second=4, redirect_stdout=False, redirect_stderr=False
    ):
        yield table
