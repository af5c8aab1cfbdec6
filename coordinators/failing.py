"""A run that could not be launched ends, with the cause."""

from __future__ import annotations

import time

from ..events.causes import ErrorInfo, RunFailureReason
from ..events.event import NewEvent
from ..events.kinds import EventKind
from ..storage.journal import Journal


def fail_launch(journal: Journal, run_id: str, e: Exception) -> None:
    """End a run whose launcher raised.

    Raises:
        ConflictError: it is not STARTING any more: its worker was started all the same, or somebody canceled it.
    """
    error = ErrorInfo(message=f"{type(e).__name__}: {e}\n", cls_name=type(e).__name__).to_body()
    now = time.time()
    said = {"message": "The run could not be launched.", "error": error, "reported": True}
    note = NewEvent(EventKind.ENGINE_EVENT, None, None, said, now)
    body = {"reason": RunFailureReason.UNKNOWN.value, "message": f"The run could not be launched: {e}", "error": error}
    journal.move(run_id, NewEvent(EventKind.RUN_FAILURE, None, None, body, now), before=[note])
