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
