"""What a process is told that is forked for a step of a queue: between ``step_templates`` and the program that it runs."""

from __future__ import annotations

from ..serdes.record import record
from ..storage.contract import AttemptRef


@record
class StepDocument:
    """One attempt.

    Attributes:
        ref: the attempt; its step's key has the run's id before it, as a template serves many runs.
        document: an ExecuteStepArgs.
    """

    ref: AttemptRef
    document: str


def ref_of_order(run_id: str, ref: AttemptRef) -> AttemptRef:
    """An attempt as a template knows it, which serves many runs."""
    return AttemptRef(f"{run_id} {ref.step}", ref.n)


def attempt_of_order(order: AttemptRef) -> tuple[str, AttemptRef]:
    """The run's id and the attempt that ``ref_of_order`` was made of."""
    run_id, _, step = order.step.partition(" ")
    return run_id, AttemptRef(step, order.n)
