"""``job.execute_in_process()`` and ``execute_job``: a run coordinated by the calling process, and its result.

Fills the port that ``definitions`` declares. A job that has no origin runs its steps here, whatever its executor; one that other
processes can load (``reconstructable``) has them run where its executor puts them.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

from ..definitions.errors import DagsterResourceFunctionError
from ..definitions.ports import InProcessRequest
from ..definitions.result import ExecuteInProcessResult
from ..errors import ConflictError, RunplaneError
from ..events.causes import ErrorInfo
from ..events.event import Event, NewEvent
from ..events.kinds import EventKind
from ..events.run import Run
from ..executors.database_values import DatabaseValues
from ..executors.driver import Driver
from ..executors.in_process import InProcessExecutor
from ..executors.resource_scope import ResourceScope
from ..executors.settings import Executor, ExecutorContext, driver_settings
from ..executors.stored_values import StoredValues
from ..instance.instance import Instance, RunRequest
from ..plan.compile import compile_plan
from ..storage.contract import RunClaim
from ..storage.liveness import this_process
from .authority import acquire
from .beats import beats_for
from .executed_again import executed_again
from .python_logs import log_settings_of
from .run import fail_with_exception
from .run_executor import made_executor
from .step_logs import store_logs, usable_logs


class StepFailedError(RunplaneError):
    """A step failed in another process; the text is what it raised there."""


def run_in_process(request: InProcessRequest) -> ExecuteInProcessResult:
    """Execute the job to its end and return its result.

    Raises:
        ConfigErrors: the run config is not right; nothing was stored.
        StepFailedError: a step failed in another process, when the request says so.
        Whatever user code raised here, when the request says so.
    """
    instance: Instance = request.instance or Instance.ephemeral()
    asked = _asked_for(instance, request)
    run, claim = _created_and_claimed(instance, asked)
    request = replace(request, job=request.job.for_run(run))  # what is executed again may be a part of the assets
    plan = asked.plan
    if plan is None:
        raise ValueError(f"run {run.run_id} was made without a plan")
    raised: list[BaseException] = []
    scope = ResourceScope(request.job, run, instance.home, instance=instance)
    values = StoredValues(request.job, run, scope, DatabaseValues(instance.journal.values))
    context = ExecutorContext(
        run,
        plan,
        instance.home,
        usable_logs(instance, run),
        lambda: request.job,
        instance,
        log_settings_of(instance),
        epoch=claim.epoch,
    )
    if request.origin is not None and plan.executor.get("name") != "in_process":
        run, executor = made_executor(instance, context)
    else:
        executor = _executor_here(context, raised, scope)
    _drive(instance, claim, replace(context, run=run), executor, raised)
    store_logs(instance, run.run_id)
    values.keep_managers()
    scope.close(lambda event: _note(instance, run, event), step=None, n=None)
    events = list(instance.journal.history(run.run_id))
    if request.raise_on_error:
        _raise_first(raised, events)
    return ExecuteInProcessResult(request.job, instance.runs.get(run.run_id), events, values.load)


def _asked_for(instance: Instance, request: InProcessRequest) -> RunRequest:
    if request.again is not None:
        return executed_again(instance, request, request.again)
    plan = compile_plan(request.job, request.run_config, selection=request.op_selection)
    return RunRequest(
        job_name=request.job.name,
        origin=request.origin,
        plan=plan,
        run_config=request.run_config or {},
        tags=request.tags,
        op_selection=request.op_selection,
        asset_selection=request.asset_selection,
        run_id=request.run_id,
    )


def _created_and_claimed(instance: Instance, asked: RunRequest) -> tuple[Run, RunClaim]:
    run = instance.create(asked)
    claim = acquire(instance.journal, run, this_process(), resumes_allowed=0)
    if not isinstance(claim, RunClaim):
        raise ConflictError(f"somebody else has it: {claim.message}", where=f"run {run.run_id}")
    return run, claim


def _executor_here(context: ExecutorContext, raised: list[BaseException], scope: ResourceScope) -> Executor:
    """Runs the steps in this process; what the job says to another executor has no meaning here."""
    spec = context.plan.executor
    config = (spec.get("config") or {}) if spec.get("name") == "in_process" else {}
    return InProcessExecutor(driver_settings(config, max_concurrent=1), context, raised.append, scope)


def _drive(
    instance: Instance, claim: RunClaim, context: ExecutorContext, executor: Executor, raised: list[BaseException]
) -> None:
    run = context.run
    with ExitStack() as stack:
        try:
            executor.prepare()
            driver = Driver(instance.journal, run, context.plan, claim, executor.make_runner, executor.settings)
            if driver.follows_log:
                instance.journal.put_steps(context.plan)
            if not instance.is_ephemeral:
                stack.enter_context(beats_for(instance, run.run_id, claim, driver, driver.tell))
            driver.drive()
            if driver.follows_log:
                # Its attempts say themselves that their logs are complete; those that were killed did not.
                instance.complete_logs(run.run_id)
        except Exception as e:  # noqa: BLE001 - ends the run with its cause, and is raised by the caller
            fail_with_exception(instance, run, claim, e)
            users = None if isinstance(e, DagsterResourceFunctionError) else e.__cause__
            raised.append(users or e)


def _note(instance: Instance, run: Run, event: NewEvent) -> None:
    instance.journal.annotate(run.run_id, [event])


def _raise_first(raised: list[BaseException], events: list[Event]) -> None:
    if raised:
        raise raised[0]
    for event in events:
        if event.kind == EventKind.STEP_FAILURE and event.body.get("error"):
            error = ErrorInfo.from_body(event.body["error"])
            raise StepFailedError((error.cause or error).message.strip(), where=f"step {event.step}")
