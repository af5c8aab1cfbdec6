"""Where a scenario of ``parity/scenarios`` comes to something else here than under Dagster, and why: scenario -> path -> difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Difference:
    """One difference.

    Attributes:
        dagster, runplane: what the path comes to there and here; ``absent`` where there is no such path.
        reason: why it is so.
    """

    dagster: Any
    runplane: Any
    reason: str


_WITH_ITS_CAUSE = Difference(
    ["DagsterError"],
    ["DagsterError", "from ValueError"],
    "the error that says that the retries are used up is raised from what the user's code raised last",
)

_NOT_ANNOUNCED = Difference(
    ["STEP_START", "STEP_OUTPUT", "STEP_FAILURE"],
    ["STEP_START", "STEP_FAILURE"],
    "an output that is not of its type does not count, and is not announced; Dagster announces it and then fails the step",
)

DIFFERENCES: dict[str, dict[str, Difference]] = {
    "contexts_outside_a_run": {
        "missing/raised": Difference(
            ["KeyError"], ["DagsterError", "DagsterInvalidDefinitionError"], "the resource that is missing is named"
        )
    },
    "retry_policy": {"raised/raised": _WITH_ITS_CAUSE},
    "retry_requested": {"raised/raised": _WITH_ITS_CAUSE},
    "type_annotations": {
        "outputs/steps/wrong_number": _NOT_ANNOUNCED,
        "lists/steps/takes_list": Difference(
            ["STEP_START", "LOADED_INPUT", "STEP_INPUT", "STEP_OUTPUT", "STEP_FAILURE"],
            ["STEP_START", "LOADED_INPUT", "STEP_INPUT", "STEP_FAILURE"],
            _NOT_ANNOUNCED.reason,
        ),
    },
    "type_loader": {"not plain/steps/plain": _NOT_ANNOUNCED},
    "type_of_ones_own": {"run/steps/odd": _NOT_ANNOUNCED},
}
