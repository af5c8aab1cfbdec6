"""One event, before and after storage has numbered it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

TEXT_LIMIT = 500_000
"""Characters of one text of an event: a log line, a metadata value. Errors have a limit of their own; outputs are no events."""


def cut_text(text: str) -> str:
    """A text as an event keeps it; what is cut is said."""
    if len(text) <= TEXT_LIMIT:
        return text
    return f"{text[:TEXT_LIMIT]} (TRUNCATED: {len(text) - TEXT_LIMIT} more characters)"


class NewEvent(NamedTuple):
    """An event that its writer made and storage has not numbered yet.

    Attributes:
        kind: a value of ``EventKind`` (or a newer version's kind, kept as it is).
        step: step key, or None for an event of the run.
        n: attempt number of the step, from 1; None for an event of the run or of a step that was never issued.
        body: JSON values only.
        written_at: the writer's clock, seconds since the epoch.
        value: of an output that storage is to keep itself. It travels with the output's event, and is no part of it.
    """

    kind: str
    step: str | None
    n: int | None
    body: Mapping[str, Any]
    written_at: float
    value: bytes | None = None


class Event(NamedTuple):
    """A stored event.

    Attributes:
        run_id: the run it belongs to.
        seq: its number in that run, from 1 without gaps. Never compare numbers of two runs.
        kind, step, n, body, written_at: as in ``NewEvent``.
        at: the storage's clock when it was stored, seconds since the epoch. Timers count from here.
        version: version of the body's form.
    """

    run_id: str
    seq: int
    kind: str
    step: str | None
    n: int | None
    body: Mapping[str, Any]
    written_at: float
    at: float
    version: int = 1
