"""Why an attempt or a run ended badly: closed sets of causes, and errors as data."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from ..serdes.record import record


class FailureCause(str, Enum):
    """Why an attempt ended without success. Retry budgets are kept per cause."""

    USER_CODE = "USER_CODE"
    """User code raised, or returned something it may not."""
    USER_RETRY = "USER_RETRY"
    """User code asked to be run again (``RetryRequested``)."""
    FRAMEWORK = "FRAMEWORK"
    """Our own code failed in the step's process: an input that can not be loaded, a resource, a context."""
    CRASHED = "CRASHED"
    """The process ended without an outcome: a signal, ``os._exit``, a closed pipe."""
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    TIMED_OUT = "TIMED_OUT"
    """The op's own time limit."""
    LOST = "LOST"
    """The process went away with its host or its parent; nothing says that the code was at fault."""
    EVICTED = "EVICTED"
    """Its node gave it up: it ran short of something, was drained or tainted."""
    PREEMPTED = "PREEMPTED"
    """It had to make room for something more important."""
    NODE_LOST = "NODE_LOST"
    """Its node went away."""
    INTERRUPTED = "INTERRUPTED"
    """It was told to end (SIGTERM), and nobody had canceled it."""
    LAUNCH_REFUSED = "LAUNCH_REFUSED"
    """It could never be started."""
    START_TIMED_OUT = "START_TIMED_OUT"
    """It did not start within its time."""
    CANCELED = "CANCELED"

    def __str__(self) -> str:
        return self.value


OWN_BUDGETS: Mapping[FailureCause, int] = {
    FailureCause.LOST: 10,
    FailureCause.EVICTED: 10,
    FailureCause.PREEMPTED: 20,
    FailureCause.NODE_LOST: 10,
    FailureCause.INTERRUPTED: 10,
}
"""What the user's code can not help is made good without the user's retries: so often for each cause, then the step has failed."""
WITHOUT_RETRY = frozenset({FailureCause.LAUNCH_REFUSED, FailureCause.START_TIMED_OUT, FailureCause.CANCELED})
"""Another attempt would end the same way, or is not wanted. All other causes are paid for by the user's retries."""


class RunFailureReason(str, Enum):
    """Dagster's reasons of a failed run; stored in the tag ``dagster/failure_reason``."""

    UNEXPECTED_TERMINATION = "UNEXPECTED_TERMINATION"
    RUN_EXCEPTION = "RUN_EXCEPTION"
    STEP_FAILURE = "STEP_FAILURE"
    JOB_INITIALIZATION_FAILURE = "JOB_INITIALIZATION_FAILURE"
    START_TIMEOUT = "START_TIMEOUT"
    RUN_WORKER_RESTART = "RUN_WORKER_RESTART"
    VERSION_SKEW = "VERSION_SKEW"
    """Ours: the worker's image is of another major version than the run's coordinator."""
    UNKNOWN = "UNKNOWN"

    def __str__(self) -> str:
        return self.value


@record
class ErrorInfo:
    """An exception as data: the fields of Dagster's ``SerializableErrorInfo``.

    Attributes:
        message: ``"ValueError: no such thing\\n"``, as ``traceback.format_exception_only`` prints it.
        stack: formatted stack lines, ours left out.
        cls_name: the exception's class name.
        cause: the exception it was raised from.
        context: the exception that was being handled.
    """

    message: str
    stack: tuple[str, ...] = ()
    cls_name: str | None = None
    cause: ErrorInfo | None = None
    context: ErrorInfo | None = None

    def to_body(self) -> dict[str, Any]:
        """The form kept in an event's body."""
        return {
            "message": self.message,
            "stack": list(self.stack),
            "cls_name": self.cls_name,
            "cause": self.cause.to_body() if self.cause else None,
            "context": self.context.to_body() if self.context else None,
        }

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> ErrorInfo:
        """The reverse of ``to_body``."""
        cause, context = body.get("cause"), body.get("context")
        return cls(
            message=body["message"],
            stack=tuple(body.get("stack") or ()),
            cls_name=body.get("cls_name"),
            cause=cls.from_body(cause) if cause else None,
            context=cls.from_body(context) if context else None,
        )
