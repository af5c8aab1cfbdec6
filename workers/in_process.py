"""``job.execute_in_process()`` and ``execute_job``: a run executed in the calling process, and its result.

Fills the port that ``definitions`` declares.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from ..definitions.ports import InProcessRequest
from ..definitions.result import ExecuteInProcessResult
from ..events.event import NewEvent
from ..events.run import Run
from ..executors.driver import Driver
from ..executors.heartbeat import BEAT_S, Heartbeat
from ..executors.in_process import InProcessExecutor
from ..executors.resource_scope import ResourceScope
from ..executors.stored_values import StoredValues
from ..executors.settings import ExecutorContext, driver_settings
from ..instance.instance import Instance, RunRequest
from ..plan.compile import compile_plan
from ..storage.contract import RunClaim
from ..storage.liveness import this_process
from .authority import acquire
from .run import fail_with_exception


def run_in_process(request: InProcessRequest) -> ExecuteInProcessResult:
    """Execute the job here and return its result.

    Raises:
        ConfigErrors: the run config is not right; nothing was stored.
        Whatever user code raised, when the request says so.
    """
    plan = compile_plan(request.job, request.run_config, selection=request.op_selection)
    instance: Instance = request.instance or Instance.ephemeral()
    run = instance.create(
        RunRequest(
            job_name=request.job.name,
            plan=plan,
            run_config=request.run_config,
            tags=request.tags,
            op_selection=request.op_selection,
            run_id=request.run_id,
        )
    )
    raised: list[BaseException] = []
    claim = acquire(instance.journal, run, this_process(), resumes_allowed=0)
    if not isinstance(claim, RunClaim):
        raise RuntimeError(f"run {run.run_id} was claimed by somebody else: {claim.message}")
    context = ExecutorContext(run, plan, instance.home, instance.logs, lambda: request.job, instance)
    config = (plan.executor.get("config") or {}) if plan.executor.get("name") == "in_process" else {}
    scope = ResourceScope(request.job, run, instance.home, instance=instance)
    values = StoredValues(request.job, run, scope)
    executor = InProcessExecutor(driver_settings(config, max_concurrent=1), context, raised.append, scope)
    _drive(instance, run, plan, claim, executor, raised)
    values.keep_managers()
    scope.close(lambda event: _note(instance, run, event), step=None, n=None)
    events = _all_events(instance, run)
    if raised and request.raise_on_error:
        raise raised[0]
    return ExecuteInProcessResult(request.job, instance.runs.get(run.run_id), events, values.load)


def _note(instance: Instance, run: Run, event: NewEvent) -> None:
    instance.journal.annotate(run.run_id, [event])


def _drive(
    instance: Instance, run: Run, plan: Any, claim: RunClaim, executor: InProcessExecutor, raised: list[BaseException]
) -> None:
    driver = Driver(instance.journal, run, plan, claim, executor.make_runner, executor.settings)
    with ExitStack() as stack:
        if not instance.is_ephemeral:
            stack.enter_context(Heartbeat(instance.journal, run.run_id, claim.epoch, driver.tell, beat_s=BEAT_S))
        try:
            driver.drive()
        except Exception as e:  # noqa: BLE001 - ends the run with its cause, and is raised by the caller
            fail_with_exception(instance, run, claim, e)
            raised.append(e.__cause__ if e.__cause__ is not None else e)


def _all_events(instance: Instance, run: Run) -> list[Any]:
    events: list[Any] = []
    while page := instance.tail(run.run_id, len(events), 5000):
        events += page
    return events
