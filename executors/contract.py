"""What the driver asks of a step runner, and what a runner tells the driver.

A runner is small: start one attempt, stop one, say whether one is alive. It decides nothing. It may own threads; `report` may be
called from any of them, and from inside `start`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from types import MappingProxyType
from typing import Any, Protocol, Union, runtime_checkable

from ..engine.snapshot import StepPlan, StoredOutput
from ..events.causes import FailureCause
from ..events.event import Event, NewEvent
from ..events.kinds import EventKind
from ..events.run import Run
from ..serdes.record import record
from ..storage.contract import AttemptRef


@record
class StepOrder:
    """Start this attempt.

    Attributes:
        run: the run.
        step: its step in the plan (for a mapped step, the template).
        ref: step key and attempt number.
        retry_number: user retries before this attempt (``context.retry_number``).
        retries_enabled: whether a failed attempt may ask for another one.
        nonce: what the attempt writes with; None when the attempt claims for itself.
        inputs: what exists of each input, in order.
    """

    run: Run
    step: StepPlan
    ref: AttemptRef
    retry_number: int = 0
    retries_enabled: bool = True
    nonce: str | None = None
    inputs: Mapping[str, Sequence[StoredOutput]] = field(default_factory=dict)


@record
class StepWrote:
    """Events of an attempt that lets its coordinator write for it, in order; the outcome is the last fact.

    `size`: bytes that they were on their way, told by a runner that is ``Paced``.
    """

    ref: AttemptRef
    nonce: str
    events: Sequence[NewEvent]
    size: int = 0


@record
class StepGone:
    """The attempt's process is proven gone. Reported after all it wrote."""

    ref: AttemptRef
    cause: FailureCause
    evidence: str


@record
class StepRefused:
    """The attempt can never be started."""

    ref: AttemptRef
    evidence: str


@record
class RunnerNote:
    """Annotations of the runner itself; `ref`: the attempt that they are about, if it is one."""

    events: Sequence[NewEvent]
    ref: AttemptRef | None = None


def engine_event(
    message: str, metadata: Mapping[str, Any] = MappingProxyType({}), ref: AttemptRef | None = None
) -> NewEvent:
    """An annotation of the machinery's own, written now; about an attempt if one is named."""
    step, n = ref if ref is not None else (None, None)
    return NewEvent(EventKind.ENGINE_EVENT, step, n, {"message": message, "metadata": dict(metadata)}, time.time())


@record
class RunnerNews:
    """A runner that ``HearsLog`` has news."""


@record
class PartFailed:
    """A thread that serves the driver has failed, and can serve it no more: the run ends with this error as its cause."""

    error: BaseException


RunnerSignal = Union[StepWrote, StepGone, StepRefused, RunnerNote, RunnerNews, PartFailed]  # noqa: UP007 - used at run time
Report = Callable[[RunnerSignal], None]


class StepRunner(Protocol):
    """Runs attempts of steps somewhere."""

    def start(self, order: StepOrder) -> None:
        """Start the attempt and return; what comes of it is reported. Never raises for what the attempt does."""

    def stop(self, ref: AttemptRef, grace_s: float, cause: FailureCause) -> None:
        """Ask the attempt to end, and end it after `grace_s` seconds. Idempotent. Its end is reported as ``StepGone``."""

    def probe(self, ref: AttemptRef) -> None:
        """After a take-over: report ``StepGone`` when the attempt is proven gone; report nothing when it lives."""

    def close(self) -> None:
        """The run is over or this coordinator leaves: end what is left, and return when it is gone."""


@runtime_checkable
class WritesThroughDriver(Protocol):
    """A runner whose attempts are claimed in the driver's own transaction and write through it (threads, forked children)."""

    worker_id: str

    def claim_body(self, ref: AttemptRef) -> Mapping[str, Any]:
        """Body of the claim's event (STEP_WORKER_STARTED); with no ``message`` it is hidden from Dagster-shaped views."""


@runtime_checkable
class Announces(Protocol):
    """A runner that has something to say at the beginning and at the end of a run."""

    def opening(self, step_keys: Sequence[str]) -> Sequence[NewEvent]:
        """Annotations to store before the first step."""

    def closing(self) -> Sequence[NewEvent]:
        """Annotations to store before the run's last event."""

    def launching(self, ref: AttemptRef) -> Sequence[NewEvent]:
        """Annotations to store with the issue of an attempt."""


@runtime_checkable
class HearsLog(Protocol):
    """A runner that is to know what the attempts, which write to the log themselves, have written there."""

    def heard(self, events: Sequence[Event]) -> None:
        """These are in the run's log, in order; after a take-over all that was there before comes first. Returns at once."""

    def news(self) -> Sequence[NewEvent]:
        """Annotations to store now: asked for when ``RunnerNews`` was reported, so that none can come after the run's end."""


@runtime_checkable
class InheritsLogs(Protocol):
    """A runner whose attempts end with their coordinator: after a take-over, nobody writes to the former one's logs any more."""

    def inherit_logs(self, log_keys: Sequence[Sequence[str]]) -> None:
        """Say that these are complete. Called before the first attempt is started."""


@runtime_checkable
class Interruptible(Protocol):
    """A runner that runs user code in the driver's own thread, so that the driver can not be asked to stop it."""

    def interrupt(self) -> None:
        """Raise in the user code that runs now, if any. Called by a signal handler in the thread that runs it."""


@runtime_checkable
class Paced(Protocol):
    """A runner that leaves unread what its attempts write, and so makes them wait, while the driver has enough to store.

    Without it, what attempts write while the database is away is kept in memory without a bound.
    """

    has_enough: Callable[[], bool]


@runtime_checkable
class Pumped(Protocol):
    """A runner that blocks the driver while a step runs, and has it store what was reported now and then."""

    pump: Callable[[], None]
