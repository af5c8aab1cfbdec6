"""What the engine asks of the shell, and what the shell tells the engine besides stored events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Union

from ..events.causes import FailureCause
from ..events.kinds import EventKind
from ..serdes.record import record
from .snapshot import RetryPlan

# Commands ---------------------------------------------------------------------------------------------------------------------


@record
class IssueStep:
    """Issue attempt `n`, with a slot in each pool. Answered by the stored STEP_ISSUED or by ``PoolsFull``."""

    step: str
    n: int
    retry_number: int
    pools: tuple[str, ...]
    priority: int


@record
class LaunchStep:
    """Start the attempt with its step's runner."""

    step: str
    n: int
    retry_number: int


@record
class ProbeStep:
    """After a take-over: is it gone, alive or unknown?"""

    step: str
    n: int


@record
class StopStep:
    """Stop the attempt. Idempotent; the shell repeats it until it is gone."""

    step: str
    n: int
    cause: FailureCause


@record
class SealStep:
    """Take the attempt's authority away. Answered by the stored STEP_SEALED, or by the outcome it had."""

    step: str
    n: int
    cause: FailureCause
    evidence: str


@record
class Record:
    """Store a fact that the engine derived.

    `jitter`: the policy with whose jitter the shell draws the body's `seconds_to_wait` anew before it stores it; the engine draws
    nothing.
    """

    kind: EventKind
    step: str
    n: int | None
    body: Mapping[str, Any]
    jitter: RetryPlan | None = None


@record
class WakeAt:
    """Send ``Woke(key)`` at this time (seconds since the epoch, storage's clock).

    `pools`: it is these that are waited for; send it as soon as all of them have room, and at that time at the latest.
    """

    key: str
    at: float
    pools: tuple[str, ...] = ()


@record
class FinishRun:
    """End the run."""

    kind: EventKind
    body: Mapping[str, Any]


Command = Union[IssueStep, LaunchStep, ProbeStep, StopStep, SealStep, Record, WakeAt, FinishRun]  # noqa: UP007 - runtime

# What the shell saw -----------------------------------------------------------------------------------------------------------


@record
class Happened:
    """A fact: an event that is stored, or that is in the batch being stored."""

    kind: str
    step: str | None
    n: int | None
    body: Mapping[str, Any] = field(default_factory=dict)
    at: float = 0.0


@record
class PoolsFull:
    """An issue was refused; nothing was done. Try again at `retry_at`."""

    step: str
    n: int
    retry_at: float


@record
class Gone:
    """The attempt's process is proven gone."""

    step: str
    n: int
    cause: FailureCause
    evidence: str


@record
class LaunchRefused:
    """The attempt can never be started."""

    step: str
    n: int
    evidence: str


@record
class Woke:
    """A time that was asked for has come."""

    key: str
    at: float


@record
class IntentSet:
    """The run is to end: ``cancel`` or ``deadline``."""

    intent: str


Stimulated = Union[Happened, PoolsFull, Gone, LaunchRefused, Woke, IntentSet]  # noqa: UP007 - runtime
