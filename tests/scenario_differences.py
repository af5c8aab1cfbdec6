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

_KEPT = ["STEP_OUTPUT", "HANDLED_OUTPUT", "STEP_SUCCESS"]
_KEPT_FIRST = "an output is announced when it was kept; Dagster announces it before it is handed to the IO manager"


def _raises(label: str, value: Any, error: str, reason: str) -> dict[str, Difference]:
    """Dagster gives `value`; here it is an error of Dagster's."""
    return {
        label: Difference(value, "absent", reason),
        f"{label}/raised": Difference("absent", ["DagsterError", error], reason),
    }


DIFFERENCES: dict[str, dict[str, Difference]] = {
    "contexts_outside_a_run": {
        "missing/raised": Difference(
            ["KeyError"], ["DagsterError", "DagsterInvalidDefinitionError"], "the resource that is missing is named"
        )
    },
    "failures": {
        "again/raised": Difference(["DagsterError"], ["DagsterError", "from Failure"], _WITH_ITS_CAUSE.reason),
        **_raises("succeeded", None, "DagsterInvariantViolationError", "a node that the job does not have is named"),
    },
    "io_managers_that_fail": {
        "again/steps/one": Difference(
            ["STEP_START", "STEP_OUTPUT", "STEP_UP_FOR_RETRY", "STEP_RESTARTED", *_KEPT],
            ["STEP_START", "STEP_UP_FOR_RETRY", "STEP_RESTARTED", *_KEPT],
            _KEPT_FIRST,
        ),
        "keep/steps/one": Difference(
            ["STEP_START", "STEP_OUTPUT", "STEP_FAILURE"], ["STEP_START", "STEP_FAILURE"], _KEPT_FIRST
        ),
        "no manager/raised": Difference(
            ["ParameterCheckError"],
            [
                *("DagsterError", "DagsterResourceFunctionError", "DagsterUserCodeExecutionError"),
                "from DagsterInvariantViolationError",
            ],
            "what is given in the place of an IO manager is looked at when it is opened",
        ),
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
