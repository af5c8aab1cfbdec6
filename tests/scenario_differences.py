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


ABSENT = "absent"

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

_OPENED_FOR_THE_CALL = (
    "a resource that yields is opened for the call; Dagster wants the context to be a context manager"
)
_HOOK = "a hook that could not be called is refused where it is defined"
_OF_GRAPHS = "the retry policy of a graph is that of its ops that have none; in Dagster it has no effect"
_KEPT = ["STEP_OUTPUT", "HANDLED_OUTPUT", "STEP_SUCCESS"]
_KEPT_FIRST = "an output is announced when it was kept; Dagster announces it before it is handed to the IO manager"


def _raises(label: str, value: Any, error: str, reason: str) -> dict[str, Difference]:
    """Dagster gives `value`; here it is an error of Dagster's."""
    return {
        label: Difference(value, "absent", reason),
        f"{label}/raised": Difference("absent", ["DagsterError", error], reason),
    }


DIFFERENCES: dict[str, dict[str, Difference]] = {
    "called_as_functions": {
        "no resource/raised": Difference(
            ["DagsterError", "DagsterInvalidDefinitionError"],
            ["DagsterError", "DagsterUnknownResourceError"],
            "a resource that is not there is the same error in a run and outside of one",
        ),
        "resource": Difference("absent", "opened", _OPENED_FOR_THE_CALL),
        "resource/raised": Difference(
            ["DagsterError", "DagsterInvariantViolationError"], "absent", _OPENED_FOR_THE_CALL
        ),
        **_raises(
            "unknown", 3, "DagsterInvalidInvocationError", "an argument that is no input is refused, not ignored"
        ),
    },
    "contexts_outside_a_run": {
        "called": Difference("absent", 13, _OPENED_FOR_THE_CALL),
        "called/raised": Difference(["DagsterError", "DagsterInvariantViolationError"], "absent", _OPENED_FOR_THE_CALL),
        "missing/raised": Difference(
            ["KeyError"], ["DagsterError", "DagsterInvalidDefinitionError"], "the resource that is missing is named"
        ),
    },
    "definitions_that_are_wrong": {
        "hook_of_two": Difference(None, "absent", _HOOK),
        "hook_of_two/raised": Difference("absent", ["DagsterError", "DagsterInvalidDefinitionError"], _HOOK),
    },
    "instances": {
        "no end/raised": Difference(
            ["DagsterError"],
            ["DagsterError", "DagsterInvariantViolationError"],
            "the error has a name that can be imported",
        )
    },
    "retries_in_detail": {
        "graphs/run/steps/group.in_a_graph": Difference(
            ["STEP_START", "STEP_FAILURE"],
            ["STEP_START", "STEP_UP_FOR_RETRY", "STEP_RESTARTED", "STEP_FAILURE"],
            _OF_GRAPHS,
        ),
        "graphs/tries/graph": Difference(1, 2, _OF_GRAPHS),
    },
    "expectations": {
        "no boolean/raised": Difference(
            ["ParameterCheckError"],
            ["DagsterError", "DagsterInvariantViolationError"],
            "an argument of the wrong type is an error of a public class",
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

_OPENED_FOR_NOTHING = Difference(
    ["RUN_START", "RESOURCE_INIT_STARTED", "RESOURCE_INIT_SUCCESS", "RUN_SUCCESS"],
    ["RUN_START", "RUN_SUCCESS"],
    "an IO manager is not opened for outputs that have no value",
)

# Assets
DIFFERENCES |= {
    "asset_definitions": {
        "circle/raised": Difference(
            ["CircularDependencyError"],
            ["DagsterError", "DagsterInvalidDefinitionError"],
            "a circle is an error of the definitions, of a class that can be caught; there it is one of an inner library",
        )
    },
    "asset_events_of_ops": {
        "failing/steps/logs_and_fails": Difference(
            ["STEP_START", "STEP_FAILURE"],
            ["STEP_START", "ASSET_MATERIALIZATION", "STEP_FAILURE"],
            "what was logged before the failure happened; there it is lost",
        )
    },
    "asset_failures": {
        "types/steps/_typed": Difference(
            ["STEP_START", "STEP_OUTPUT", "STEP_FAILURE"],
            ["STEP_START", "STEP_FAILURE"],
            "a value that does not count is not announced",
        )
    },
    "asset_result_mistakes": {
        "two/run": Difference(
            ["RUN_START", "RESOURCE_INIT_STARTED", "RESOURCE_INIT_SUCCESS", "RUN_FAILURE"],
            ["RUN_START", "RUN_FAILURE"],
            _OPENED_FOR_NOTHING.reason,
        )
    },
    "define_asset_job": {
        "not in it/raised": Difference(
            ABSENT,
            ["DagsterError", "DagsterInvalidSubsetError"],
            "an asset that the job does not make can not be selected",
        ),
        "not in it/run": Difference(
            ["RUN_START", "RESOURCE_INIT_STARTED", "RESOURCE_INIT_SUCCESS", "RUN_SUCCESS"],
            ABSENT,
            "there the job makes an asset that its own selection leaves out",
        ),
        "not in it/steps/elsewhere": Difference(
            ["STEP_START", "STEP_OUTPUT", "ASSET_MATERIALIZATION", "HANDLED_OUTPUT", "STEP_SUCCESS"],
            ABSENT,
            "there the job makes an asset that its own selection leaves out",
        ),
        "not in it/success": Difference(True, ABSENT, "there the job makes an asset that its own selection leaves out"),
    },
    "multi_asset_outs": {
        "in the wrong order/steps/in_the_wrong_order": Difference(
            ["STEP_START", "STEP_OUTPUT", "ASSET_MATERIALIZATION", "HANDLED_OUTPUT", "STEP_FAILURE"],
            ["STEP_START", "STEP_FAILURE"],
            "the asset that comes too early is refused, not announced as made",
        )
    },
    "multi_asset_specs": {"part/run": _OPENED_FOR_NOTHING, "whole/run": _OPENED_FOR_NOTHING},
}
