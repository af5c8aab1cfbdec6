"""The end of a run whose worker is gone: it is taken over first, so that nobody else may write, and ended with the cause."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from ..events.causes import FailureCause, RunFailureReason
from ..events.event import NewEvent
from ..events.kinds import EventKind
from ..storage.contract import Head
from .contract import LoopContext


def end_lost_run(
    context: LoopContext, head: Head, message: str, evidence: str, cause: FailureCause, left: Sequence[str] = ()
) -> bool:
    """Take a run over and end it: CANCELED if that is the cause, else FAILURE. Open attempts are sealed, their slots freed.

    Args:
        left: what of it is still there, in words.

    Returns:
        False: somebody else was there first.
    """
    journal = context.instance.journal
    if left:
        message += f" Still there: {'; '.join(left)}."
    claim = journal.take_over(
        head, context.me, event_now(EventKind.RUN_RESUMED, {"evidence": evidence, "message": message})
    )
    if claim is None:
        return False
    if cause is FailureCause.CANCELED and head.intent != "deadline":
        end = event_now(EventKind.RUN_CANCELED, {"message": message})
    else:
        reason = RunFailureReason.UNEXPECTED_TERMINATION.value
        body = {"reason": reason, "message": message, "tags": {"dagster/failure_reason": reason}}
        end = event_now(EventKind.RUN_FAILURE, body)
    journal.finalise(head.run_id, claim.epoch, end, cause=cause.value)
    context.instance.complete_logs(head.run_id)
    context.instance.stop_all(head.run_id)
    return True


def event_now(kind: EventKind, body: Mapping[str, object]) -> NewEvent:
    """An event of a run, written now."""
    return NewEvent(kind, None, None, body, time.time())
