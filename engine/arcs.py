"""The tables of arcs: which event moves which state, as data.

The engine proposes with them; storage enforces them in the transaction that appends, whoever writes. The diagrams in
``docs/learn/lifecycle.md`` are printed from here by a test.

Two views of one step: the engine's ``StepState`` (what to do next) and storage's ``AttemptState`` (what one attempt's row says).
``ATTEMPT_STATE_OF`` ties them together.
"""

from __future__ import annotations

from enum import Enum

from ..events.kinds import EventKind
from ..events.status import RunStatus
from ..serdes.record import record


class StepState(str, Enum):
    """Where a step stands, for the engine."""

    WAITING = "WAITING"
    READY = "READY"
    ISSUED = "ISSUED"
    RUNNING = "RUNNING"
    SEALING = "SEALING"
    BACKOFF = "BACKOFF"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"
    ABANDONED = "ABANDONED"

    def __str__(self) -> str:
        return self.value


FINAL_STEP_STATES = frozenset({StepState.SUCCEEDED, StepState.FAILED, StepState.SKIPPED, StepState.ABANDONED})


class AttemptState(str, Enum):
    """What the row of one attempt says. ``n = 0`` holds the two ends of a step that was never issued."""

    ISSUED = "issued"
    RUNNING = "running"
    DONE = "done"
    SEALED = "sealed"
    SKIPPED = "skipped"
    ABANDONED = "abandoned"

    def __str__(self) -> str:
        return self.value


OPEN_ATTEMPT_STATES = (AttemptState.ISSUED, AttemptState.RUNNING)


class Stimulus(str, Enum):
    """What can move a step: a stored event, or something the shell saw that is not (yet) an event."""

    DEPENDENCIES_MET = "dependencies met"
    INPUT_MISSING = "a required input was not produced"
    UPSTREAM_FAILED = "an upstream step failed or was abandoned"
    INTENT = "the run is to end (cancel, deadline)"
    ISSUED = EventKind.STEP_ISSUED.value
    REFUSED = "a pool is full"
    CLAIMED = EventKind.STEP_WORKER_STARTED.value
    OUTPUT_READY = EventKind.STEP_OUTPUT.value
    SUCCEEDED = EventKind.STEP_SUCCESS.value
    FAILED = EventKind.STEP_FAILURE.value
    RETRY = EventKind.STEP_UP_FOR_RETRY.value
    GONE = "its process is proven gone"
    LAUNCH_REFUSED = "it can never be started"
    OVERDUE = "its time limit passed"
    SEALED_RETRY = "STEP_SEALED, budget left"
    SEALED_FAIL = "STEP_SEALED, no budget or intent set"
    WOKE = "its delay is over"


@record
class StepArc:
    """From `source`, `stimulus` leads to `target`."""

    source: StepState
    stimulus: Stimulus
    target: StepState


def _step_arcs() -> tuple[StepArc, ...]:
    s, by = StepState, Stimulus
    rows = [
        (s.WAITING, by.DEPENDENCIES_MET, s.READY),
        (s.WAITING, by.INPUT_MISSING, s.SKIPPED),
        (s.WAITING, by.UPSTREAM_FAILED, s.ABANDONED),
        (s.WAITING, by.INTENT, s.ABANDONED),
        (s.READY, by.INTENT, s.ABANDONED),
        (s.BACKOFF, by.INTENT, s.ABANDONED),
        (s.READY, by.ISSUED, s.ISSUED),
        (s.READY, by.REFUSED, s.READY),
        (s.ISSUED, by.CLAIMED, s.RUNNING),
        (s.RUNNING, by.OUTPUT_READY, s.RUNNING),
        (s.BACKOFF, by.WOKE, s.READY),
        # An overdue or unwanted attempt is asked to stop first and sealed once it is gone or the grace is over.
        (s.RUNNING, by.OVERDUE, s.SEALING),
        (s.ISSUED, by.INTENT, s.SEALING),
        (s.RUNNING, by.INTENT, s.SEALING),
        (s.ISSUED, by.GONE, s.SEALING),
        (s.RUNNING, by.GONE, s.SEALING),
        (s.SEALING, by.GONE, s.SEALING),
        (s.ISSUED, by.LAUNCH_REFUSED, s.SEALING),
        # Claimed in the transaction that issued it (steps that write through the driver), then not to be started.
        (s.RUNNING, by.LAUNCH_REFUSED, s.SEALING),
        (s.SEALING, by.LAUNCH_REFUSED, s.SEALING),
        (s.SEALING, by.CLAIMED, s.SEALING),
        (s.SEALING, by.OUTPUT_READY, s.SEALING),
        (s.SEALING, by.SEALED_RETRY, s.BACKOFF),
        (s.SEALING, by.SEALED_FAIL, s.FAILED),
    ]
    for source in (s.RUNNING, s.SEALING):
        rows += [
            (source, by.SUCCEEDED, s.SUCCEEDED),
            (source, by.FAILED, s.FAILED),
            (source, by.RETRY, s.BACKOFF),
        ]
    return tuple(StepArc(*row) for row in rows)


STEP_ARCS = _step_arcs()
STEP_TARGET = {(arc.source, arc.stimulus): arc.target for arc in STEP_ARCS}

ATTEMPT_STATE_OF = {
    StepState.ISSUED: AttemptState.ISSUED,
    StepState.RUNNING: AttemptState.RUNNING,
    StepState.SUCCEEDED: AttemptState.DONE,
    StepState.SKIPPED: AttemptState.SKIPPED,
}
"""Where a step's state alone says what its newest attempt's row holds (SEALING, BACKOFF, FAILED and ABANDONED have several)."""


@record
class AttemptArc:
    """What an event of this kind does to the row of its attempt; `sources` empty means that the row is made."""

    kind: EventKind
    sources: tuple[AttemptState, ...]
    target: AttemptState


_A = AttemptState
ATTEMPT_ARCS = {
    arc.kind: arc
    for arc in (
        AttemptArc(EventKind.STEP_ISSUED, (), _A.ISSUED),
        AttemptArc(EventKind.STEP_WORKER_STARTED, (_A.ISSUED,), _A.RUNNING),
        AttemptArc(EventKind.STEP_OUTPUT, (_A.RUNNING,), _A.RUNNING),
        AttemptArc(EventKind.STEP_SUCCESS, (_A.RUNNING,), _A.DONE),
        # The coordinator records the end of an attempt that it has sealed; the attempt itself writes while it runs.
        AttemptArc(EventKind.STEP_FAILURE, (_A.RUNNING, _A.SEALED), _A.DONE),
        AttemptArc(EventKind.STEP_UP_FOR_RETRY, (_A.RUNNING, _A.SEALED), _A.DONE),
        AttemptArc(EventKind.STEP_SEALED, (_A.ISSUED, _A.RUNNING), _A.SEALED),
        AttemptArc(EventKind.STEP_SKIPPED, (), _A.SKIPPED),
        AttemptArc(EventKind.STEP_ABANDONED, (), _A.ABANDONED),
    )
}


@record
class RunArc:
    """An event of this kind moves a run from one of `sources` to `target`."""

    kind: EventKind
    sources: tuple[RunStatus, ...]
    target: RunStatus


_R = RunStatus
RUN_ARCS = {
    arc.kind: arc
    for arc in (
        RunArc(EventKind.RUN_ENQUEUED, (_R.NOT_STARTED,), _R.QUEUED),
        RunArc(EventKind.RUN_STARTING, (_R.NOT_STARTED, _R.QUEUED), _R.STARTING),
        RunArc(EventKind.RUN_START, (_R.NOT_STARTED, _R.STARTING), _R.STARTED),
        RunArc(EventKind.RUN_RESUMED, (_R.STARTED, _R.CANCELING), _R.STARTED),
        RunArc(EventKind.RUN_CANCELING, (_R.NOT_STARTED, _R.QUEUED, _R.STARTING, _R.STARTED), _R.CANCELING),
        RunArc(EventKind.RUN_CANCELED, (_R.CANCELING,), _R.CANCELED),
        RunArc(EventKind.RUN_SUCCESS, (_R.STARTED,), _R.SUCCESS),
        RunArc(
            EventKind.RUN_FAILURE,
            (_R.NOT_STARTED, _R.QUEUED, _R.STARTING, _R.STARTED, _R.CANCELING),
            _R.FAILURE,
        ),
    )
}
"""RUN_RESUMED keeps the status: a take-over while CANCELING goes on cancelling."""


def run_target(kind: EventKind, status: RunStatus) -> RunStatus | None:
    """The status that an event of `kind` leads to from `status`, or None when no arc allows it."""
    arc = RUN_ARCS[kind]
    if status not in arc.sources:
        return None
    return status if kind is EventKind.RUN_RESUMED else arc.target
