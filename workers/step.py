"""The life of a step worker: the body of ``api execute_step``."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from .. import workers
from ..definitions.code_loading import load_job
from ..definitions.errors import DagsterExecutionInterruptedError
from ..definitions.job import JobDefinition
from ..definitions.user_errors import error_info
from ..engine.inputs import gather_inputs
from ..engine.planned_step import PlannedStep
from ..engine.snapshot import PlanSnapshot, StoredOutput
from ..errors import NotFoundError, nearest
from ..errors.exit_codes import ExitCode
from ..events.causes import FailureCause
from ..events.event import NewEvent
from ..events.kinds import EventKind
from ..events.requests import ExecuteStepArgs, RetryMode
from ..events.run import Run
from ..executors.interrupts import Interrupts
from ..executors.log_capture import LogCapture
from ..executors.perform import perform_step
from ..executors.step_request import StepRequest
from ..instance.instance import Instance
from ..plan.compile import compile_plan
from ..serdes.record import record
from ..storage.contract import AttemptRef, NotClaimed, StepBrief
from ..storage.liveness import this_process
from .attempt_journal import AttemptJournal
from .claimed_values import ClaimedValues
from .event_sink import EventSink
from .python_logs import log_settings_of
from .step_logs import store_logs, usable_logs

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@record
class StepOutcome:
    """How a step worker ended: its exit code, and a sentence for stderr (empty when there is nothing to say).

    A step that failed in user code, or asks for a retry, ends with OK: its outcome is in the event log.
    """

    code: ExitCode
    message: str = ""


def execute_step(
    instance: Instance, args: ExecuteStepArgs, by_worker: Callable[[AttemptJournal], AttemptJournal] | None = None
) -> StepOutcome:
    """Execute the steps that the document names, one after another.

    Args:
        by_worker: given what this process would write with, what it writes with before and after user code.

    Raises:
        NotFoundError: no such run, or a step that the plan does not have (nothing was written).
        StorageUnavailableError: the database did not answer at the start.
    """
    keys = args.step_keys if args.issued is not None and args.step_keys is not None else _keys_of_plan(instance, args)
    worker = this_process().worker_id
    writes = instance.journal if by_worker is None else by_worker(instance.journal)
    job: JobDefinition | None = None
    outcome = StepOutcome(ExitCode.OK)
    for key in keys:
        outcome, job = _execute_one(instance, args, key, worker, writes, job)
        if outcome.code is not ExitCode.OK:
            break
    store_logs(instance, args.run_id)
    return outcome


def _keys_of_plan(instance: Instance, args: ExecuteStepArgs) -> tuple[str, ...]:
    """The steps of a document that no coordinator of ours made: they are looked up before anything is claimed."""
    wanted = args.step_keys or ()
    if wanted and all(instance.journal.brief(args.run_id, key).planned for key in wanted):
        return wanted
    run = instance.runs.get(args.run_id)
    if run.plan_id is None:
        job = _load(args, run)
        plan = compile_plan(job, run.run_config, selection=run.op_selection, step_keys=run.step_keys)
        instance.journal.set_plan(run.run_id, instance.journal.put_plan(plan))
    else:
        plan = instance.journal.get_plan(run.plan_id)
    keys = args.step_keys if args.step_keys is not None else tuple(s.key for s in plan.steps)
    for key in keys:
        _check_key(plan, key)
    return keys


def _execute_one(
    instance: Instance,
    args: ExecuteStepArgs,
    key: str,
    worker: str,
    writes: AttemptJournal,
    job: JobDefinition | None,
) -> tuple[StepOutcome, JobDefinition | None]:
    ref = AttemptRef(key, _attempt_number(args, key))
    claimed = writes.claim(args.run_id, ref, worker, _started(ref), make=args.issued is None)
    if isinstance(claimed, NotClaimed):
        return _left(ref, claimed), job
    run, planned = claimed.brief.run, claimed.brief.planned
    if planned is None:
        raise NotFoundError(f"the plan of job {run.job_name!r} has no step {key!r}.", where=f"run {run.run_id}")
    inputs = _inputs(instance, claimed.brief, planned, key)
    values = ClaimedValues(instance.journal.values, inputs, instance.disconnect, early=planned.starts_early)
    instance.disconnect()
    instance.wait_for_ever()
    sink = EventSink(instance.journal, writes, run.run_id, ref, claimed, instance.disconnect)
    printed = workers.printed_events.PrintedEvents(run, sink) if args.print_serialized_events else None
    interrupts = _Interrupts(instance, run, printed.take if printed else sink.take)
    take = interrupts.take
    loaded = job
    capture = LogCapture(usable_logs(instance, run), run.run_id, [key])
    with _signals_as_before():
        try:
            with _interruptible():
                take(capture.begin(key, ref.n))
                loaded = job or _load(args, run)
                request = StepRequest(
                    job=loaded,
                    run=run,
                    step=planned.step,
                    step_key=key,
                    n=ref.n,
                    home=instance.home,
                    retry_number=claimed.retry_number,
                    retries_enabled=args.retry_mode is not RetryMode.DISABLED,
                    inputs=inputs,
                    ensure_current=sink.ensure_current,
                    instance=instance,
                    values=values,
                    log_settings=log_settings_of(instance),
                )
                perform_step(request, take)
        except DagsterExecutionInterruptedError as e:
            take(_failure(ref, e, FailureCause.CANCELED))
        except Exception as e:  # noqa: BLE001 - code that can not be loaded is the attempt's outcome
            take(_failure(ref, e, FailureCause.FRAMEWORK))
        finally:
            capture.end()
        kept = sink.close()
    if not kept:
        return StepOutcome(
            ExitCode.REVOKED, f"Attempt {ref.n} of step {key} was sealed while it ran; its outcome was not taken."
        ), loaded
    if interrupts.is_handed_on:
        return StepOutcome(
            ExitCode.TERMINATED,
            f"Attempt {ref.n} of step {key} was told to end, and nobody had canceled the run: no outcome.",
        ), loaded
    if printed:
        printed.print()
    return StepOutcome(ExitCode.OK), loaded


def _inputs(instance: Instance, brief: StepBrief, planned: PlannedStep, key: str) -> dict[str, list[StoredOutput]]:
    """What exists of the step's inputs. It came with the claim, but for steps that start before what they take from has ended."""

    def read(steps: Sequence[str]) -> list[StoredOutput]:
        return instance.journal.outputs(brief.run.run_id, steps, early=planned.starts_early)

    found = read(planned.read_keys(key)) if planned.starts_early else brief.outputs
    return gather_inputs(planned, key, found, read)


def _check_key(plan: PlanSnapshot, key: str) -> None:
    try:
        plan.step(key)
    except KeyError:
        known = [s.key for s in plan.steps]
        raise NotFoundError(
            f"the plan of job {plan.job_name!r} has no step {key!r}.",
            nearest=nearest(key, known),
            expected=", ".join(known[:20]),
        ) from None


def _attempt_number(args: ExecuteStepArgs, key: str) -> int:
    """The attempt that the document is for; a document of Dagster's counts the user's retries only."""
    if args.issued is not None:
        return args.issued.attempt
    return (args.known_state.previous_retry_attempts.get(key, 0) if args.known_state else 0) + 1


def _left(ref: AttemptRef, claimed: NotClaimed) -> StepOutcome:
    where = f"Attempt {ref.n} of step {ref.step}"
    if claimed.why == "duplicate":
        return StepOutcome(ExitCode.OK, f"{where} was claimed by another process already. Leaving before user code.")
    if claimed.why == "done":
        return StepOutcome(ExitCode.OK, f"{where} has ended already ({claimed.detail}). Leaving before user code.")
    return StepOutcome(ExitCode.REVOKED, f"{where} may not run: {claimed.detail}. Leaving before user code.")


def _load(args: ExecuteStepArgs, run: Run) -> JobDefinition:
    return load_job(args.origin.repository_origin.code_pointer, args.origin.job_name).for_run(run)


class _Interrupts:
    """Keeps back that an attempt failed by an interrupt while the run goes on: a drain, a deploy, a preemption, a time limit.

    Without an outcome, whoever sees the end of the process decides by its cause; what the user's retry policy allows is not spent.
    """

    def __init__(self, instance: Instance, run: Run, take: Callable[[NewEvent], None]) -> None:
        self._instance = instance
        self._run = run
        self._take = take
        self.is_handed_on = False

    def take(self, event: NewEvent) -> None:
        failed = event.kind == EventKind.STEP_FAILURE and event.body.get("cause") == FailureCause.CANCELED
        if failed and self._instance.journal.head(self._run.run_id).intent == "none":
            self.is_handed_on = True
            return
        self._take(event)


def _started(ref: AttemptRef) -> NewEvent:
    body = {"message": f'Step worker started for "{ref.step}".', "pid": os.getpid(), "marker_end": "step_process_start"}
    return NewEvent(EventKind.STEP_WORKER_STARTED, ref.step, ref.n, body, time.time())


def _failure(ref: AttemptRef, e: BaseException, cause: FailureCause) -> NewEvent:
    body = {
        "cause": cause.value,
        "error": error_info(e).to_body(),
        "message": f'Execution of step "{ref.step}" failed.',
    }
    return NewEvent(EventKind.STEP_FAILURE, ref.step, ref.n, body, time.time())


@contextmanager
def _interruptible() -> Iterator[None]:
    """While inside: SIGTERM and SIGINT raise in user code. Afterwards they are not heard: what the attempt wrote is still to be kept."""
    interrupts = Interrupts(signal.SIGTERM, DagsterExecutionInterruptedError)

    def heard(_number: int, _frame: FrameType | None) -> None:
        interrupts.interrupt()

    for number in _SIGNALS:
        signal.signal(number, heard)
    try:
        yield
    finally:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        interrupts.end()


@contextmanager
def _signals_as_before() -> Iterator[None]:
    """Put the handlers back at the end."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
