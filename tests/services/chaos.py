"""What became of runs that met an accident, one line a case, in the JUnit file of their suite."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence

from runplane.events.event import Event
from runplane.events.kinds import EventKind

RecordProperty = Callable[[str, object], None]
PROPERTY = "chaos"
"""Name of the property of each line."""
ENDS = {
    EventKind.RUN_SUCCESS.value: "success",
    EventKind.RUN_FAILURE.value: "failure",
    EventKind.RUN_CANCELED.value: "canceled",
}
LOST = "Detected that the run's worker is gone: "
TOLD_TO_END = "was told to end"


class Notes:
    """Takes down when a run meets its accident, and what its log says of it when it is over.

    Args:
        record: pytest's `record_testsuite_property`.
    """

    def __init__(self, record: RecordProperty) -> None:
        self._record = record
        self._struck: dict[str, tuple[float, dict[str, str | int]]] = {}

    def struck(self, run_id: str, accident: str, executor: str, resumes: int) -> None:
        """Now, or in a moment."""
        self._struck[run_id] = time.time(), {"accident": accident, "executor": executor, "resumes": resumes}

    def over(self, run_id: str, events: Sequence[Event]) -> None:
        """The run is over: these are its events."""
        since, case = self._struck[run_id]
        (end,) = (e for e in events if e.kind in ENDS)
        later = [e for e in events if e.at >= since]
        seen = [(e.at - since, text) for e in later if (text := _said_of_a_loss(e))]
        line = {
            **case,
            "end": ENDS[end.kind],
            "workers": 1 + sum("Resuming run" in str(e.body.get("message")) for e in events),
            "seen": [text for _, text in seen],
            "seen_after_s": seen[0][0] if seen else None,
            "over_after_s": end.at - since,
        }
        self._record(PROPERTY, json.dumps(line))


def _said_of_a_loss(event: Event) -> str:
    """What an event says of a worker or an attempt that went away; nothing when it is about something else."""
    message = str(event.body.get("message"))
    if event.kind == EventKind.STEP_SEALED:
        return f"step: {event.body['cause']}"
    if event.kind in (EventKind.ENGINE_EVENT, EventKind.RUN_FAILURE) and LOST in message:
        return f"worker: {message.partition(LOST)[2]}"
    if event.kind == EventKind.RUN_FAILURE and TOLD_TO_END in message:
        return "worker: told to end, and may not be resumed"
    return ""
