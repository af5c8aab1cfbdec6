"""The life of a run worker: the body of ``api execute_run`` and ``api resume_run``."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..definitions.code_loading import load_job
from ..definitions.errors import DagsterResourceFunctionError
from ..definitions.user_errors import error_info
from ..engine.snapshot import PlanSnapshot
from ..errors import ConfigErrors, ConflictError, FencedError, RunplaneError, StorageUnavailableError
from ..errors.exit_codes import ExitCode
from ..events.causes import ErrorInfo, FailureCause, RunFailureReason
from ..events.event import NewEvent
from ..events.kinds import EventKind
from ..events.run import Run
from ..events.status import RunStatus
from ..executors.contract import Interruptible, PartFailed, StepRunner
from ..executors.driver import ControlSeen, Driver, EndAsked, LeaveAsked
from ..executors.failure import CodeLoadError
from ..executors.processes.started import Started
from ..executors.settings import Executor, ExecutorContext
from ..executors.user_function import ExecutorFunctionError
from ..instance.instance import Instance
from ..locations.contract import AssetsAsked
from ..locations.subprocess_source import SubprocessCodeSource
from ..locations.target import CodeRequest
from ..plan.planned_assets import planned_events
from ..serdes.record import record
from ..storage.contract import RunClaim
from ..storage.liveness import this_process
from .ahead import Ahead
from .authority import BudgetSpent, Denied, acquire
from .beats import beats_for
from .python_logs import log_settings_of
from .run_executor import made_executor
from .signals import ToldToLeave, handled, wake_main_thread
from .step_logs import store_logs, usable_logs

LEAVE_S = 3.0
"""How long a worker that is told to leave tries to say so."""
MAX_RUNTIME_TAGS = ("dagster/max_runtime", "dagster/max_runtime_seconds")


@record
class RunOutcome:
    """How a run worker ended.

    Attributes:
        status: the run's status as this worker left it; None when it did not run anything.
        code: exit code, before ``set_exit_code_on_failure``.
        message: for stderr; empty when there is nothing to say.
    """

    status: RunStatus | None
    code: ExitCode
    message: str = ""


def execute_run(instance: Instance, run_id: str, ahead: Ahead | None = None) -> RunOutcome:
    """Coordinate a run until it is over, or until somebody else does.

    Args:
        ahead: what was done for it already.

    Raises:
        NotFoundError: no such run. StorageUnavailableError: the database did not answer at the start.
    """
    ahead = ahead or Ahead(instance.runs.get(run_id))
    run = ahead.run
    owner = this_process()
    authority = acquire(
        instance.journal, run, owner, resumes_allowed=instance.resumes_allowed, ttl_s=instance.lease_ttl_s
    )
    if isinstance(authority, Denied):
        return RunOutcome(None, ExitCode.OK, authority.message)
    if isinstance(authority, BudgetSpent):
        _fail(instance, run, authority.claim, RunFailureReason.RUN_WORKER_RESTART, authority.message)
        instance.complete_logs(run_id)
        return RunOutcome(RunStatus.FAILURE, ExitCode.OK, authority.message)
    instance.wait_for_ever()
    try:
        status = _coordinate(instance, instance.runs.get(run_id), authority, ahead)
    except FencedError as e:
        store_logs(instance, run_id)
        return RunOutcome(None, ExitCode.FENCED, str(e))
    except ToldToLeave:
        instance.wait_at_most(LEAVE_S)
        instance.journal.give_up(run_id, authority.epoch)
        store_logs(instance, run_id, LEAVE_S)
        raise
    store_logs(instance, run_id)
    if status is None:
        return RunOutcome(None, ExitCode.OK, "Leaving the run to the worker that resumes it.")
    if authority.resumed:
        instance.complete_logs(run_id)
    exited = f"Process for run exited (pid: {owner.pid})."
    instance.journal.annotate(run_id, [_engine_event(exited, metadata={"pid": str(owner.pid)})])
    return RunOutcome(status, ExitCode.OK)


def _coordinate(instance: Instance, run: Run, claim: RunClaim, ahead: Ahead) -> RunStatus | None:
    """Prepare, drive, and turn whatever is raised into the run's failure with its cause."""
    try:
        plan = ahead.plan or plan_of(instance, run)
        run, executor = made_executor(instance, _context(instance, run, plan, claim, ahead.template))
        executor.prepare()
    except CodeLoadError as e:
        event = _engine_event("Could not load job definition.", error=e.error)
        _fail(
            instance,
            run,
            claim,
            RunFailureReason.UNKNOWN,
            "Could not load job definition.",
            error=e.error,
            before=[event],
        )
        return RunStatus.FAILURE
    except FencedError:
        raise
    except Exception as e:  # noqa: BLE001 - whatever an executor raises while it is made fails the run by name
        plain = ErrorInfo(message=f"{type(e).__name__}: {e}\n", cls_name=type(e).__name__)
        error = e.error if isinstance(e, ExecutorFunctionError) else plain
        message = f'Execution of run for "{run.job_name}" failed. {e}'
        _fail(instance, run, claim, RunFailureReason.JOB_INITIALIZATION_FAILURE, message, error=error)
        return RunStatus.FAILURE
    try:
        return _drive(instance, run, plan, claim, executor)
    except (FencedError, StorageUnavailableError):
        raise
    except Exception as e:  # noqa: BLE001 - what ends the coordinator ends the run, with its cause
        return fail_with_exception(instance, run, claim, e)


def fail_with_exception(instance: Instance, run: Run, claim: RunClaim, e: BaseException) -> RunStatus:
    """End a run whose coordinator raised: a resource of the run that can not be made, or a fault of ours. What is raised when the run is over
    (while things are closed) changes nothing, and is noted."""
    error = error_info(e.__cause__ if isinstance(e, DagsterResourceFunctionError) and e.__cause__ else e)
    message = f'Execution of run for "{run.job_name}" failed. An exception was thrown during execution.'
    try:
        _fail(instance, run, claim, RunFailureReason.RUN_EXCEPTION, message, error=error)
    except FencedError:
        raise
    except ConflictError:
        found = instance.journal.head(run.run_id).status
        if not found.is_final:
            raise
        instance.journal.annotate(run.run_id, [_engine_event("The run was over when its worker raised.", error=error)])
        return found
    return RunStatus.FAILURE


def _drive(instance: Instance, run: Run, plan: PlanSnapshot, claim: RunClaim, executor: Executor) -> RunStatus | None:
    runners: list[StepRunner] = []

    def make_runner(report: Callable[[Any], None]) -> StepRunner:
        runners.append(executor.make_runner(report))
        return runners[0]

    max_runtime_s = _max_runtime_s(instance, run)
    driver = Driver(instance.journal, run, plan, claim, make_runner, executor.settings, max_runtime_s)
    if driver.follows_log:
        instance.journal.put_steps(plan)
    last_resume = claim.epoch > instance.resumes_allowed

    def leave() -> None:
        driver.tell(EndAsked("lost") if last_resume else LeaveAsked())
        # Whoever is to leave does not wait for a database that is away.
        instance.database.give_up()
        _interrupt(runners[0])

    def cancel() -> None:
        driver.tell(EndAsked("cancel"))
        _interrupt(runners[0])

    def hear(seen: ControlSeen | PartFailed) -> None:
        driver.tell(seen)
        wake_main_thread()

    with (
        handled(leave, cancel, lambda: _interrupt(runners[0])),
        beats_for(instance, run.run_id, claim, driver, hear),
        _deadline_felt(driver, runners[0], run, max_runtime_s),
    ):
        status = driver.drive()
    if status is None:
        instance.journal.give_up(run.run_id, claim.epoch)
    elif driver.follows_log:
        # Its attempts say themselves that their logs are complete; those that were killed did not.
        instance.complete_logs(run.run_id)
    return status


@contextmanager
def _deadline_felt(driver: Driver, runner: StepRunner, run: Run, max_runtime_s: float | None) -> Iterator[None]:
    """While inside: the run's time limit is felt by user code that keeps the driver's own thread busy."""
    if max_runtime_s is None or not isinstance(runner, Interruptible):
        yield
        return

    def reached() -> None:
        driver.tell(EndAsked("deadline"))
        wake_main_thread()

    timer = threading.Timer(max(0.0, (run.started_at or time.time()) + max_runtime_s - time.time()), reached)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _interrupt(runner: StepRunner) -> None:
    if isinstance(runner, Interruptible):
        runner.interrupt()


def plan_of(instance: Instance, run: Run) -> PlanSnapshot:
    """The run's stored plan; made and stored here for a run that was created without one.

    Raises:
        CodeLoadError: the code that the plan is made from can not be loaded.
    """
    if run.plan_id is not None:
        return instance.journal.get_plan(run.plan_id)
    if run.origin is None:
        raise RunplaneError("the run has neither a plan nor an origin", where=f"run {run.run_id}")
    repository = run.origin.repository_origin
    # The coordinator imports no user code: a process of its own does, and answers with the plan.
    with SubprocessCodeSource(CodeRequest(pointer=repository.code_pointer)) as source:
        plan = source.snapshot(
            run.origin.job_name,
            selection=run.op_selection,
            assets=AssetsAsked.of_run(run),
            run_config=run.run_config,
            step_keys=run.step_keys,
        )
    if isinstance(plan, list):
        raise ConfigErrors(plan, where=f"run config of run {run.run_id}")
    instance.journal.set_plan(run.run_id, instance.journal.put_plan(plan))
    planned = planned_events(plan)
    if planned:
        instance.journal.annotate(run.run_id, planned)
    return plan


def _context(
    instance: Instance, run: Run, plan: PlanSnapshot, claim: RunClaim, template: Started | None
) -> ExecutorContext:
    def load() -> Any:
        if run.origin is None:
            raise RunplaneError(
                "the run has no origin: its code can not be found by another process", where=f"run {run.run_id}"
            )
        try:
            return load_job(run.origin.repository_origin.code_pointer, run.origin.job_name).for_run(run)
        except Exception as e:
            raise CodeLoadError.from_exception(e) from e

    return ExecutorContext(
        run=run,
        plan=plan,
        home=instance.home,
        logs=usable_logs(instance, run),
        load_job=load,
        instance=instance,
        log_settings=log_settings_of(instance),
        owns_process=True,
        epoch=claim.epoch,
        template=template,
    )


def _max_runtime_s(instance: Instance, run: Run) -> float | None:
    for tag in MAX_RUNTIME_TAGS:
        if tag in run.tags:
            limit = _limit_of(run.tags[tag])
            if limit is not None:
                return limit or None
            message = f"The tag {tag} is not a number of seconds, 0 or more: {run.tags[tag]!r}. It has no effect."
            instance.journal.annotate(run.run_id, [_engine_event(message)])
    return instance.max_runtime_s


def _limit_of(text: str) -> float | None:
    try:
        limit = float(text)
    except ValueError:
        return None
    return limit if math.isfinite(limit) and limit >= 0 else None


def _fail(
    instance: Instance,
    run: Run,
    claim: RunClaim,
    reason: RunFailureReason,
    message: str,
    *,
    error: ErrorInfo | None = None,
    before: list[NewEvent] | None = None,
) -> None:
    """End the run as failed; whatever is open is sealed."""
    body: dict[str, Any] = {"reason": reason.value, "message": message, "error": error.to_body() if error else None}
    if reason is not RunFailureReason.UNKNOWN:
        body["tags"] = {"dagster/failure_reason": reason.value}
    event = NewEvent(EventKind.RUN_FAILURE, None, None, body, time.time())
    instance.journal.finalise(run.run_id, claim.epoch, event, before or (), cause=FailureCause.LOST.value)


def _engine_event(
    message: str, *, metadata: Mapping[str, Any] | None = None, error: ErrorInfo | None = None
) -> NewEvent:
    body = {"message": message, "metadata": dict(metadata or {}), "error": error.to_body() if error else None}
    return NewEvent(EventKind.ENGINE_EVENT, None, None, body, time.time())
