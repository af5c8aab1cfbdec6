"""The part of an event that is of its kind: body of ours <-> ``event_specific_data`` of Dagster's, by kind.

Bodies are plain JSON; their metadata is that of ``dagster_metadata``. Readers raise KeyError, TypeError, ValueError or AttributeError for
data that does not fit; the caller keeps it whole then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..serdes.record import record
from .causes import FailureCause, RunFailureReason
from .dagster_metadata import metadata_entries, metadata_of
from .kinds import EventKind

Tree = dict[str, Any]
Body = Mapping[str, Any]


@record
class DataForm:
    """How one kind's data is written and read.

    Attributes:
        stored: name of the data's class.
        write: (body, step key) -> fields of the data, or None for no data.
        read: fields of the data -> body.
    """

    stored: str
    write: Callable[[Body, str | None], Tree | None]
    read: Callable[[Tree], Tree]


# ------------------------------------------------------------------------------------------------------ small parts


def error_tree(error: Body | None) -> Tree | None:
    """An error of a body (``ErrorInfo.to_body``) as ``SerializableErrorInfo``."""
    if not error:
        return None
    return {
        "__class__": "SerializableErrorInfo",
        "cause": error_tree(error.get("cause")),
        "cls_name": error.get("cls_name"),
        "context": error_tree(error.get("context")),
        "message": error.get("message", ""),
        "stack": list(error.get("stack") or []),
    }


def error_body(tree: Tree | None) -> Tree | None:
    """The reverse of ``error_tree``."""
    if tree is None:
        return None
    return {
        "message": tree["message"],
        "stack": list(tree["stack"]),
        "cls_name": tree["cls_name"],
        "cause": error_body(tree["cause"]),
        "context": error_body(tree.get("context")),
    }


def _type_check(body: Body, label: str) -> Tree:
    check = body.get("type_check") or {}
    return {
        "__class__": "TypeCheckData",
        "description": check.get("description"),
        "label": check.get("label", label),
        "metadata_entries": metadata_entries(check.get("metadata")),
        "success": check.get("success", True),
    }


def _type_check_body(tree: Tree | None, label: str) -> Tree:
    if tree is None:
        return {}
    found: Tree = {"success": tree["success"]}
    if tree["label"] != label:
        found["label"] = tree["label"]
    if tree["description"] is not None:
        found["description"] = tree["description"]
    if tree["metadata_entries"]:
        found["metadata"] = metadata_of(tree["metadata_entries"])
    return {} if found == {"success": True} else {"type_check": found}


def _without_nothing(**values: Any) -> Tree:
    return {key: value for key, value in values.items() if value is not None and value != {} and value != []}


# ------------------------------------------------------------------------------------------------------------ kinds


def _engine(body: Body, step: str | None) -> Tree:
    metadata = body.get("metadata")
    return {
        "error": error_tree(body.get("error")),
        "marker_end": body.get("marker_end"),
        "marker_start": body.get("marker_start"),
        "metadata_entries": metadata_entries(metadata),
    }


def _engine_body(data: Tree) -> Tree:
    return _without_nothing(
        error=error_body(data["error"]),
        marker_start=data["marker_start"],
        marker_end=data["marker_end"],
        metadata=metadata_of(data["metadata_entries"]),
    )


def _worker_started(body: Body, step: str | None) -> Tree:
    pid = body.get("pid")
    metadata = body.get("metadata") or ({"pid": str(pid)} if pid is not None else {})
    return _engine({"marker_end": "step_process_start", **body, "metadata": metadata}, step)


def _worker_started_body(data: Tree) -> Tree:
    body = _engine_body(data)
    if body.get("marker_end") == "step_process_start":
        del body["marker_end"]
    return body


def _worker_starting(body: Body, step: str | None) -> Tree:
    return _engine({"marker_start": "step_process_start", **body}, step)


def _worker_starting_body(data: Tree) -> Tree:
    body = _engine_body(data)
    if body.get("marker_start") == "step_process_start":
        del body["marker_start"]
    return body


def _output(body: Body, step: str | None) -> Tree:
    name = body["output"]
    handle = {
        "__class__": "StepOutputHandle",
        "mapping_key": body.get("mapping_key"),
        "output_name": name,
        "step_key": step,
    }
    return {
        "metadata_entries": metadata_entries(body.get("metadata")),
        "step_output_handle": handle,
        "type_check_data": _type_check(body, name),
        "version": body.get("version"),
    }


def _output_body(data: Tree) -> Tree:
    handle = data["step_output_handle"]
    found = _without_nothing(
        output=handle["output_name"],
        mapping_key=handle["mapping_key"],
        version=data["version"],
        metadata=metadata_of(data["metadata_entries"]),
    )
    return found | _type_check_body(data["type_check_data"], handle["output_name"])


def _input(body: Body, step: str | None) -> Tree:
    return {"input_name": body["input"], "type_check_data": _type_check(body, body["input"])}


def _input_body(data: Tree) -> Tree:
    return {"input": data["input_name"]} | _type_check_body(data["type_check_data"], data["input_name"])


def _loaded(body: Body, step: str | None) -> Tree:
    return {
        "input_name": body["input"],
        "manager_key": body.get("manager_key", "io_manager"),
        "metadata_entries": metadata_entries(body.get("metadata")),
        "upstream_output_name": body.get("upstream_output"),
        "upstream_step_key": body.get("upstream_step"),
    }


def _loaded_body(data: Tree) -> Tree:
    return _without_nothing(
        input=data["input_name"],
        manager_key=data["manager_key"],
        metadata=metadata_of(data["metadata_entries"]),
        upstream_output=data["upstream_output_name"],
        upstream_step=data["upstream_step_key"],
    )


def _handled(body: Body, step: str | None) -> Tree:
    return {
        "manager_key": body.get("manager_key", "io_manager"),
        "metadata_entries": metadata_entries(body.get("metadata")),
        "output_name": body["output"],
    }


def _handled_body(data: Tree) -> Tree:
    return _without_nothing(
        output=data["output_name"],
        manager_key=data["manager_key"],
        metadata=metadata_of(data["metadata_entries"]),
    )


def _captured(body: Body, step: str | None) -> Tree:
    keys = body.get("step_keys")
    return {
        "external_stderr_url": body.get("external_stderr_url"),
        "external_stdout_url": body.get("external_stdout_url"),
        "external_url": body.get("external_url"),
        "log_key": body["log_key"] if isinstance(body["log_key"], str) else "/".join(body["log_key"]),
        "shell_cmd": body.get("shell_cmd"),
        "step_keys": list(keys) if keys is not None else ([step] if step else None),
    }


def _captured_body(data: Tree) -> Tree:
    return {key: value for key, value in data.items() if key != "__class__" and value is not None}


_SOURCE_OF = {
    FailureCause.USER_CODE.value: "USER_CODE_ERROR",
    FailureCause.USER_RETRY.value: "USER_CODE_ERROR",
    FailureCause.CANCELED.value: "INTERRUPT",
}
_CAUSE_OF = {
    "USER_CODE_ERROR": FailureCause.USER_CODE,
    "FRAMEWORK_ERROR": FailureCause.FRAMEWORK,
    "INTERRUPT": FailureCause.CANCELED,
}


def _failure(body: Body, step: str | None) -> Tree:
    failure = body.get("user_failure")
    # Dagster files a user's `Failure` under framework errors, because its own class carries it.
    source = "FRAMEWORK_ERROR" if failure else _SOURCE_OF.get(str(body.get("cause")), "FRAMEWORK_ERROR")
    return {
        "error": error_tree(body.get("error")),
        "error_source": {"__enum__": f"ErrorSource.{source}"},
        "user_failure_data": None
        if not failure
        else {
            "__class__": "UserFailureData",
            "description": failure.get("description"),
            "label": failure.get("label", "intentional-failure"),
            "metadata_entries": metadata_entries(failure.get("metadata")),
        },
    }


def _failure_body(data: Tree) -> Tree:
    source = (data.get("error_source") or {}).get("__enum__", "").rpartition(".")[2]
    failure = data.get("user_failure_data")
    cause = FailureCause.USER_CODE if failure else _CAUSE_OF.get(source, FailureCause.FRAMEWORK)
    found: Tree = {"error": error_body(data["error"]), "cause": cause.value}
    if failure:
        metadata = metadata_of(failure["metadata_entries"])
        found["user_failure"] = {
            "label": failure["label"],
            "description": failure["description"],
            "metadata": metadata,
        }
    return found


def _expectation(body: Body, step: str | None) -> Tree:
    said = {
        "__class__": "ExpectationResult",
        "description": body.get("description"),
        "label": body.get("label"),
        "metadata_entries": metadata_entries(body.get("metadata")),
        "success": body["success"],
    }
    return {"expectation_result": said}


def _expectation_body(data: Tree) -> Tree:
    said = data["expectation_result"]
    return {
        "success": said["success"],
        "label": said["label"],
        "description": said["description"],
        "metadata": metadata_of(said["metadata_entries"]),
    }


def _retry(body: Body, step: str | None) -> Tree:
    return {"error": error_tree(body.get("error")), "seconds_to_wait": body.get("seconds_to_wait")}


def _retry_body(data: Tree) -> Tree:
    cause = FailureCause.USER_CODE.value
    return _without_nothing(error=error_body(data["error"]), seconds_to_wait=data["seconds_to_wait"], cause=cause)


_REASONS = frozenset(reason.value for reason in RunFailureReason) - {RunFailureReason.VERSION_SKEW.value}


def _run_failure(body: Body, step: str | None) -> Tree | None:
    reason, error, first = body.get("reason"), body.get("error"), body.get("first_step_failure_event")
    if reason is None and error is None and first is None:
        return None
    known = reason if reason in _REASONS else RunFailureReason.UNKNOWN.value  # Dagster can not read one of ours
    return {
        "error": error_tree(error),
        "failure_reason": {"__enum__": f"RunFailureReason.{known}"},
        "first_step_failure_event": first,
    }


def _run_failure_body(data: Tree) -> Tree:
    reason = data["failure_reason"]
    return _without_nothing(
        error=error_body(data["error"]),
        reason=reason["__enum__"].rpartition(".")[2] if reason else None,
        first_step_failure_event=data["first_step_failure_event"],
    )


def _error_only(body: Body, step: str | None) -> Tree | None:
    return {"error": error_tree(body.get("error"))} if body.get("error") else None


def _error_only_body(data: Tree) -> Tree:
    return _without_nothing(error=error_body(data["error"]))


def _success(body: Body, step: str | None) -> Tree:
    return {"duration_ms": body.get("duration_ms", 0.0)}


def _success_body(data: Tree) -> Tree:
    if type(data["duration_ms"]) not in (int, float):
        raise TypeError("duration_ms is not a number")
    return {"duration_ms": data["duration_ms"]}


def _enqueued(body: Body, step: str | None) -> Tree | None:
    keys = ("code_location_name", "repository_name", "partition_key")
    return {key: body.get(key) for key in keys} if any(body.get(key) is not None for key in keys) else None


def _enqueued_body(data: Tree) -> Tree:
    return {key: value for key, value in data.items() if key != "__class__" and value is not None}


_ENGINE = DataForm("EngineEventData", _engine, _engine_body)

FORMS: dict[str, DataForm] = {
    EventKind.ENGINE_EVENT.value: _ENGINE,
    EventKind.RESOURCE_INIT_STARTED.value: DataForm(
        "EngineEventData",
        lambda body, step: _engine({"marker_start": "resources", **body}, step),
        lambda data: _without(_engine_body(data), "marker_start", "resources"),
    ),
    EventKind.RESOURCE_INIT_SUCCESS.value: DataForm(
        "EngineEventData",
        lambda body, step: _engine({"marker_end": "resources", **body}, step),
        lambda data: _without(_engine_body(data), "marker_end", "resources"),
    ),
    EventKind.RESOURCE_INIT_FAILURE.value: DataForm(
        "EngineEventData",
        lambda body, step: _engine({"marker_end": "resources", **body}, step),
        lambda data: _without(_engine_body(data), "marker_end", "resources"),
    ),
    EventKind.STEP_WORKER_STARTING.value: DataForm("EngineEventData", _worker_starting, _worker_starting_body),
    EventKind.STEP_WORKER_STARTED.value: DataForm("EngineEventData", _worker_started, _worker_started_body),
    EventKind.STEP_OUTPUT.value: DataForm("StepOutputData", _output, _output_body),
    EventKind.STEP_INPUT.value: DataForm("StepInputData", _input, _input_body),
    EventKind.LOADED_INPUT.value: DataForm("LoadedInputData", _loaded, _loaded_body),
    EventKind.HANDLED_OUTPUT.value: DataForm("HandledOutputData", _handled, _handled_body),
    EventKind.STEP_SUCCESS.value: DataForm("StepSuccessData", _success, _success_body),
    EventKind.STEP_FAILURE.value: DataForm("StepFailureData", _failure, _failure_body),
    EventKind.STEP_UP_FOR_RETRY.value: DataForm("StepRetryData", _retry, _retry_body),
    EventKind.STEP_EXPECTATION_RESULT.value: DataForm("StepExpectationResultData", _expectation, _expectation_body),
    EventKind.LOGS_CAPTURED.value: DataForm("ComputeLogsCaptureData", _captured, _captured_body),
    EventKind.HOOK_ERRORED.value: DataForm("HookErroredData", _error_only, _error_only_body),
    EventKind.RUN_FAILURE.value: DataForm("PipelineFailureData", _run_failure, _run_failure_body),
    EventKind.RUN_CANCELED.value: DataForm("PipelineCanceledData", _error_only, _error_only_body),
    EventKind.RUN_ENQUEUED.value: DataForm("RunEnqueuedData", _enqueued, _enqueued_body),
}
"""Kinds whose data is known here. Others carry theirs whole in the body (``data``), as Dagster wrote it."""


def _without(body: Tree, key: str, usual: str) -> Tree:
    if body.get(key) == usual:
        del body[key]
    return body
