"""The sentence that goes with an event whose body has none: Dagster's wording, so that people and tools find what they look for.

A writer leaves ``message`` out of the body when this is what it would say.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from .asset_key import AssetKey
from .kinds import EventKind

Body = Mapping[str, Any]


def default_message(kind: str, job_name: str, step: str | None, n: int | None, body: Body) -> str | None:
    """The usual text of an event, or None when this kind has none.

    Args:
        kind: a value of ``EventKind``; others have no text.
        job_name: the run's job.
        step, n, body: of the event.
    """
    make = _MESSAGES.get(kind)
    return make(job_name, step or "", n or 1, body) if make else None


def duration(milliseconds: float) -> str:
    """``3.21ms``, ``114ms``, ``1.2s``, ``2m5s``, ``1h2m``."""
    if milliseconds < 10:
        return f"{round(milliseconds, 2)}ms"
    if milliseconds < 1000:
        return f"{int(milliseconds)}ms"
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{round(seconds, 2)}s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60}m"


def skipped_text(step: str, because: list[str]) -> str:
    """The log line before STEP_SKIPPED; `because` are ``step.output`` of what was not produced."""
    return f"Skipping step {step} due to skipped dependencies: {because}."


def abandoned_text(step: str, because: list[str]) -> str:
    """The log line of a step that will not run because the steps `because` failed, or (``["intent"]``) because the run is to end."""
    if because == ["intent"]:
        return f"Not executing step {step}: the run is to end."
    return f"Dependencies for step {step} failed: {because}. Not executing."


def _run_failure(job: str, step: str, n: int, body: Body) -> str:
    failed = body.get("failed")
    tail = f" Steps failed: {list(failed)}." if failed else ""
    return f'Execution of run for "{job}" failed.{tail}'


def _up_for_retry(job: str, step: str, n: int, body: Body) -> str:
    wait = body.get("seconds_to_wait")
    tail = f" in {wait} seconds." if wait else "."
    return f'Execution of step "{step}" failed and has requested a retry{tail}'


def _checked(body: Body) -> str:
    check = body.get("type_check") or {}
    label = check.get("type_name", "Any")
    return f'of type "{label}". (Type check {"passed" if check.get("success", True) else "failed"}).'


def _step_output(job: str, step: str, n: int, body: Body) -> str:
    key = body.get("mapping_key")
    mapped = f' mapping key "{key}"' if key is not None else ""
    return f'Yielded output "{body.get("output")}"{mapped} {_checked(body)}'


def _step_input(job: str, step: str, n: int, body: Body) -> str:
    return f'Got input "{body.get("input")}" {_checked(body)}'


def _loaded_input(job: str, step: str, n: int, body: Body) -> str:
    upstream = body.get("upstream_step")
    source = f', from output "{body.get("upstream_output")}" of step "{upstream}"' if upstream else ""
    return f'Loaded input "{body.get("input")}" using input manager "{body.get("manager_key", "io_manager")}"{source}'


def _handled_output(job: str, step: str, n: int, body: Body) -> str:
    return f'Handled output "{body.get("output")}" using IO manager "{body.get("manager_key", "io_manager")}"'


def _capturing(job: str, step: str, n: int, body: Body) -> str:
    return f"Capturing logs for process (pid: {body.get('pid')})."


def _resources(verb: str, tail: str) -> Callable[[str, str, int, Body], str]:
    def text(job: str, step: str, n: int, body: Body) -> str:
        return f"{verb} of resources [{', '.join(body.get('resources') or [])}]{tail}"

    return text


def _asset(body: Body) -> str:
    return json.dumps(AssetKey.from_user_string(body.get("asset_key") or "").path)


def _planned(job: str, step: str, n: int, body: Body) -> str:
    return f"{job} intends to materialize asset {_asset(body)}"


def _check_planned(job: str, step: str, n: int, body: Body) -> str:
    return f"{job} intends to execute asset check {body.get('check_name')} on asset {_asset(body)}"


_MESSAGES: dict[str, Callable[[str, str, int, Body], str]] = {
    EventKind.RUN_CANCELING.value: lambda job, step, n, body: "Sending run termination request.",
    EventKind.RUN_START.value: lambda job, step, n, body: f'Started execution of run for "{job}".',
    EventKind.RUN_SUCCESS.value: lambda job, step, n, body: f'Finished execution of run for "{job}".',
    EventKind.RUN_CANCELED.value: lambda job, step, n, body: f'Execution of run for "{job}" canceled.',
    EventKind.RUN_FAILURE.value: _run_failure,
    EventKind.STEP_WORKER_STARTING.value: lambda job, step, n, body: f'Launching subprocess for "{step}".',
    EventKind.STEP_WORKER_STARTED.value: lambda job, step, n, body: f'Step worker started for "{step}".',
    EventKind.STEP_START.value: lambda job, step, n, body: f'Started execution of step "{step}".',
    EventKind.STEP_RESTARTED.value: lambda job, step, n, body: (
        f'Started re-execution (attempt # {n}) of step "{step}".'
    ),
    EventKind.STEP_INPUT.value: _step_input,
    EventKind.STEP_OUTPUT.value: _step_output,
    EventKind.STEP_SUCCESS.value: lambda job, step, n, body: (
        f'Finished execution of step "{step}" in {duration(body.get("duration_ms", 0.0))}.'
    ),
    EventKind.STEP_FAILURE.value: lambda job, step, n, body: f'Execution of step "{step}" failed.',
    EventKind.STEP_UP_FOR_RETRY.value: _up_for_retry,
    EventKind.STEP_SKIPPED.value: lambda job, step, n, body: f'Skipped execution of step "{step}".',
    EventKind.STEP_ABANDONED.value: lambda job, step, n, body: abandoned_text(step, list(body.get("because") or [])),
    EventKind.LOADED_INPUT.value: _loaded_input,
    EventKind.HANDLED_OUTPUT.value: _handled_output,
    EventKind.LOGS_CAPTURED.value: _capturing,
    EventKind.ASSET_MATERIALIZATION_PLANNED.value: _planned,
    EventKind.ASSET_CHECK_EVALUATION_PLANNED.value: _check_planned,
    EventKind.RESOURCE_INIT_STARTED.value: _resources("Starting initialization", "."),
    EventKind.RESOURCE_INIT_SUCCESS.value: _resources("Finished initialization", "."),
    EventKind.RESOURCE_INIT_FAILURE.value: _resources("Initialization", " failed."),
}
