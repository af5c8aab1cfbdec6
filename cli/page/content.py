"""What a page shows, and how much of it at most. Whoever makes a page gathers this; what was left out is counted here and said there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...engine.snapshot import PlanSnapshot
from ...events.event import Event
from ...events.run import Run
from ..story import RunStory

MOST_EVENTS = 1000
MOST_NODES = 200
MOST_ROWS = 150
MOST_FAILURES = 20
MOST_LOGS = 60
MOST_METADATA = 200
MOST_RELATIVES = 50
LOG_BYTES = 16 * 1024
"""The end of each log."""
TEXT_CHARACTERS = 20_000
"""Of an error, a run config."""
MESSAGE_CHARACTERS = 2_000
"""Of an event, a metadata value."""


@dataclass(frozen=True)
class LogText:
    """The end of one log.

    Attributes:
        title: whose it is. text: of it the end. left_out: bytes before that.
    """

    title: str
    text: str
    left_out: int


@dataclass(frozen=True)
class Relative:
    """A run of the same group. `href`: its own page beside this one, or None."""

    run: Run
    href: str | None


@dataclass(frozen=True)
class MetadataRow:
    """One entry: the step and the output, asset or check it belongs to, its label and value."""

    step: str
    of: str
    label: str
    value: object


@dataclass(frozen=True)
class Content:
    """Everything that is known of a run for its page.

    Attributes:
        events: the newest. events_left_out: how many came before. logs_left_out, metadata_left_out, relatives_left_out: likewise.
        now: when it was looked at, seconds since the epoch.
        place: where the run is kept, without secrets.
    """

    run: Run
    story: RunStory
    plan: PlanSnapshot | None
    events: Sequence[Event]
    events_left_out: int
    logs: Sequence[LogText]
    logs_left_out: int
    metadata: Sequence[MetadataRow]
    metadata_left_out: int
    relatives: Sequence[Relative]
    relatives_left_out: int
    now: float
    place: str
