"""A run of a job that is in this process, executed again: all of it, what failed, or chosen steps, with what the earlier run produced."""

from __future__ import annotations

from dataclasses import replace

from ..definitions.errors import DagsterInvariantViolationError, DagsterRunNotFoundError
from ..definitions.ports import InProcessRequest, ReexecutionOptions
from ..engine.snapshot import PlanSnapshot
from ..errors import ConflictError, NotFoundError
from ..events.run import Run
from ..instance.instance import Instance, RunRequest
from ..plan.compile import compile_plan
from ..plan.reexecution import Remainder, chosen_of, finished_by, remainder_of


def executed_again(instance: Instance, request: InProcessRequest, again: ReexecutionOptions) -> RunRequest:
    """The run to store in place of the earlier one.

    Raises:
        DagsterRunNotFoundError: there is no such run.
        DagsterInvariantViolationError: it is not over, it is a run of another job, or nothing of it is left.
        ConfigErrors: its config does not fit the code any more.
    """
    parent = _parent(instance, request, again)
    run_config = parent.run_config if request.run_config is None else request.run_config
    selection = request.op_selection or parent.op_selection
    job = request.job.for_run(parent)
    plan = compile_plan(job, run_config, selection=selection)
    left = _left(instance, parent, plan, again)
    if left is not None:
        plan = compile_plan(
            job,
            run_config,
            selection=selection,
            step_keys=left.step_keys,
            known_outputs=left.known_outputs,
            known_steps=left.known_steps,
        )
    return RunRequest(
        job_name=request.job.name,
        origin=request.origin,
        plan=plan,
        run_config=run_config,
        tags=request.tags,
        op_selection=selection,
        step_keys=left.step_keys if left else None,
        asset_selection=parent.asset_selection,
        asset_check_selection=parent.asset_check_selection,
        parent_run_id=parent.run_id,
        root_run_id=parent.root_run_id or parent.run_id,
        run_id=request.run_id,
    )


def _parent(instance: Instance, request: InProcessRequest, again: ReexecutionOptions) -> Run:
    try:
        parent = instance.runs.get(again.parent_run_id)
    except NotFoundError:
        raise DagsterRunNotFoundError(f"there is no run {again.parent_run_id}.") from None
    if parent.job_name != request.job.name:
        raise DagsterInvariantViolationError(
            "a run is executed again by its own job.", got=f"job '{request.job.name}'", expected=f"'{parent.job_name}'"
        )
    if not parent.status.is_final:
        raise ConflictError(f"run {parent.run_id} is {parent.status}: it is not over.", hint="Cancel it first.")
    return parent


def _left(instance: Instance, parent: Run, plan: PlanSnapshot, again: ReexecutionOptions) -> Remainder | None:
    """What is to be run; None: all of it."""
    if not again.is_from_failure and not again.step_selection:
        return None
    finished = finished_by(parent.run_id, instance.journal.history(parent.run_id))
    before = instance.journal.get_plan(parent.plan_id) if parent.plan_id else plan
    if again.step_selection:
        known = replace(plan, known_outputs=before.known_outputs, known_steps=before.known_steps)
        return chosen_of(known, finished, again.step_selection)
    left = remainder_of(before, finished)
    if not left.step_keys:
        raise DagsterInvariantViolationError(f"nothing is left of run {parent.run_id}: all its steps succeeded.")
    return left
