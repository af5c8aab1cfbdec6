"""A run again: which run is asked for in place of one that ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from enum import Enum

from ..engine.snapshot import OUTPUTS_TAG, PlanSnapshot
from ..errors import ConfigErrors, ConflictError
from ..events.kinds import EventKind
from ..events.origin import CodePointer
from ..events.run import Run
from ..events.trace_context import PENDING_TAG
from ..locations.contract import AssetsAsked, CodeSource
from ..plan.reexecution import Remainder, finished_by, remainder_of
from .instance import Instance, RunRequest

OpenCode = Callable[[CodePointer], AbstractContextManager[CodeSource]]
"""Starts something that can make plans of the code that a pointer names, and ends it."""

FROM_FAILURE_TAG = "dagster/is_resume_retry"
FROM_ASSET_FAILURE_TAG = "dagster/is_asset_resume_retry"
_NOT_COPIED = frozenset(
    {
        "dagster/run_metrics",
        ".dagster/run_metrics",
        ".dagster/run_metrics_polling_interval",
        ".dagster/python_runtime_metrics",
        "dagster/failure_reason",
        "dagster/retry_number",
        "dagster/will_retry",
        "dagster/auto_retry_run_id",
        "dagster/backfill",
        "dagster/parent_backfill_id",
        "dagster/root_backfill_id",
        FROM_ASSET_FAILURE_TAG,
        FROM_FAILURE_TAG,
        PENDING_TAG,
        OUTPUTS_TAG,
    }
)
"""Tags that say something about the one run. Source: https://docs.dagster.io/guides/deploy/execution/run-retries"""


class RetryStrategy(str, Enum):
    """What of a run is run again. Source: https://docs.dagster.io/guides/deploy/execution/run-retries"""

    FROM_FAILURE = "FROM_FAILURE"
    """The steps that did not succeed, with the outputs that are there."""
    FROM_ASSET_FAILURE = "FROM_ASSET_FAILURE"
    """The assets that were not made and the checks that were not evaluated, whatever steps that takes; a run without assets: its steps."""
    ALL_STEPS = "ALL_STEPS"


def retry_request(instance: Instance, run: Run, open_code: OpenCode, strategy: RetryStrategy) -> RunRequest:
    """The run that repeats `run`, its plan made anew from the code as it is now.

    Raises:
        ConflictError: it is not over, or nothing of it is left. ConfigErrors: its run config does not fit the code any more.
        RunplaneError: its code can not be loaded.
    """
    where = f"run {run.run_id}"
    if not run.status.is_final:
        raise ConflictError(f"a run that is {run.status} can not be run again", where=where, hint="Cancel it first.")
    if run.origin is None:
        raise ConflictError("the run's code was made in one process, and can not be loaded again", where=where)
    assets = _assets_left(instance, run) if strategy is RetryStrategy.FROM_ASSET_FAILURE else None
    if assets is not None and not assets.keys and not assets.check_keys:
        raise ConflictError(
            "all its assets were made: nothing is left of it", where=where, hint="--all runs its steps again."
        )
    left = _left(instance, run) if strategy is not RetryStrategy.ALL_STEPS and assets is None else None
    if left is not None and not left.step_keys:
        raise ConflictError(
            "all its steps succeeded: nothing is left of it", where=where, hint="--all runs them again."
        )
    with open_code(run.origin.repository_origin.code_pointer) as source:
        plan = source.snapshot(
            run.job_name,
            selection=run.op_selection,
            assets=assets or AssetsAsked.of_run(run),
            run_config=run.run_config or None,
            step_keys=left.step_keys if left else None,
            known=left.known_outputs if left else (),
        )
    if not isinstance(plan, PlanSnapshot):
        raise ConfigErrors(plan, where=f"run config of {where}, with the code as it is now")
    return RunRequest(
        job_name=run.job_name,
        origin=run.origin,
        plan=replace(plan, known_steps=left.known_steps) if left else plan,
        run_config=run.run_config,
        tags=_tags(
            run, FROM_FAILURE_TAG if left is not None else FROM_ASSET_FAILURE_TAG if assets is not None else None
        ),
        op_selection=run.op_selection,
        step_keys=left.step_keys if left else None,
        asset_selection=assets.keys if assets else run.asset_selection,
        asset_check_selection=assets.check_keys if assets else run.asset_check_selection,
        parent_run_id=run.run_id,
        root_run_id=run.root_run_id or run.run_id,
    )


def _left(instance: Instance, run: Run) -> Remainder | None:
    """What the run did not finish; None when it never had a plan, so that nothing is known of it."""
    if run.plan_id is None:
        return None
    return remainder_of(
        instance.journal.get_plan(run.plan_id), finished_by(run.run_id, instance.journal.history(run.run_id))
    )


def _assets_left(instance: Instance, run: Run) -> AssetsAsked | None:
    """The assets and checks that were planned, and of which nothing was heard; None for a run without any."""
    if run.plan_id is None:
        return None
    steps = instance.journal.get_plan(run.plan_id).steps
    keys = {key for step in steps for key in step.asset_keys}
    checks = {key for step in steps for key in step.check_keys}
    if not keys and not checks:
        return None
    for event in instance.journal.history(run.run_id):
        if event.kind == EventKind.ASSET_MATERIALIZATION:
            keys.discard(event.body["asset_key"])
        elif event.kind == EventKind.ASSET_CHECK_EVALUATION:
            checks.discard(f"{event.body['asset_key']}:{event.body['check_name']}")
    return AssetsAsked(None, tuple(sorted(keys)), tuple(sorted(checks)))


def _tags(run: Run, how: str | None) -> Mapping[str, str]:
    kept = {key: value for key, value in run.tags.items() if key not in _NOT_COPIED}
    return {**kept, how: "true"} if how is not None else kept
