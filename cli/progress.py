"""Live progress of a run: plain lines, or on a terminal finished steps above a few lines that are drawn again and again."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import click

from ..events.run import Run
from .report import seconds, short, step_line
from .story import RunStory, StepStatus, StepStory

MOST_RUNNING = 8
MOST_LINES = 500
"""Above so many steps a terminal shows those that fail or are retried, and the count of the others."""
_NOTABLE = (StepStatus.FAILED, StepStatus.RETRYING)
_GOES_ON = (StepStatus.WAITING, StepStatus.RUNNING, StepStatus.LOST, StepStatus.RETRYING)


class Progress(Protocol):
    """Shows a run that is going on."""

    def changed(self, story: RunStory, step: StepStory) -> None:
        """A step's status changed."""

    def say(self, text: str) -> None:
        """Something about the run as a whole."""


class PlainProgress:
    """A line for each change of a step."""

    def changed(self, story: RunStory, step: StepStory) -> None:
        """See ``Progress``."""
        click.echo(step_line(story, step))

    def say(self, text: str) -> None:
        """See ``Progress``."""
        click.echo(text)


class LiveProgress:
    """For a terminal: a line for each step that ended, and below them what runs now."""

    def __init__(self, run: Run, live: Any) -> None:
        self._run = run
        self._live = live
        self._story: RunStory | None = None

    def changed(self, story: RunStory, step: StepStory) -> None:
        """See ``Progress``."""
        self._story = story
        if step.status in _NOTABLE or (step.status is not StepStatus.RUNNING and len(story.steps) <= MOST_LINES):
            self.say(step_line(story, step))

    def say(self, text: str) -> None:
        """See ``Progress``."""
        from rich.text import Text

        self._live.console.print(Text.from_ansi(text), soft_wrap=True)

    def __rich__(self) -> Any:
        """The lines that are drawn again and again."""
        from rich.console import Group
        from rich.spinner import Spinner
        from rich.text import Text

        story = self._story
        head = f"{self._run.job_name}  {short(self._run.run_id)}"
        if story is None:
            return Group(Spinner("dots", text=Text(f"{head}  starting")))
        over = len(story.steps) - story.count(*_GOES_ON)
        running = story.in_state(StepStatus.RUNNING)
        since = seconds(max(0.0, time.time() - (story.started_at or time.time())))
        lines: list[Any] = [
            Spinner("dots", text=Text(f"{head}  {over} of {len(story.steps)} steps, {len(running)} running, {since}"))
        ]
        for step in running[:MOST_RUNNING]:
            begun = step.attempts[-1].works_from() or time.time()
            lines.append(Text(f"    {step.key}  {seconds(max(0.0, time.time() - begun))}"))
        if len(running) > MOST_RUNNING:
            lines.append(Text(f"    ... and {len(running) - MOST_RUNNING} more"))
        return Group(*lines)


@contextmanager
def progress_of(run: Run) -> Iterator[Progress]:
    """The way of showing that fits stdout."""
    if not sys.stdout.isatty():
        yield PlainProgress()
        return
    from rich.console import Console
    from rich.live import Live

    # Redirecting would send user output through rich; nothing else prints meanwhile.
    console = Console(highlight=False)
    live = Live(console=console, transient=True, refresh_per_second=8, redirect_stdout=False, redirect_stderr=False)
    shown = LiveProgress(run, live)
    live.update(shown)
    with live:
        yield shown
