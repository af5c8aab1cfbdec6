"""Steps run in the run's own process, one after another, in the thread that drives the run.

User code runs in the main thread, as it may expect; the driver waits meanwhile. So that a long step's events are seen before it
ends, the runner pumps the driver from time to time while the step writes.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..definitions.errors import DagsterExecutionInterruptedError
from ..definitions.job import JobDefinition
from ..events.causes import FailureCause
from ..events.event import NewEvent
from ..events.kinds import EventKind
from ..events.messages import duration as in_words
from ..storage.contract import AttemptRef
from .contract import RunnerNote, RunnerSignal, StepGone, StepOrder, StepWrote, engine_event
from .interrupts import WAKE, Interrupts
from .log_capture import LogCapture
from .perform import perform_step
from .resource_scope import ResourceScope
from .settings import DriverSettings, ExecutorContext, driver_settings, values_of
from .step_log import choose_loggers, listened, step_logger
from .step_request import StepRequest
from .time_limit import TimeLimit

PUMP_EVERY_S = 0.5
OUTCOMES = (EventKind.STEP_SUCCESS, EventKind.STEP_FAILURE, EventKind.STEP_UP_FOR_RETRY)
Raised = Callable[[BaseException], None]


class InProcessRunner:
    """Runs each attempt inside ``start``.

    Args:
        report: takes signals.
        job: the job's definition.
        context: run, home and logs.
        raised: is told the exceptions that user code raised.
        scope: resources that outlive the runner; None: it opens and closes its own.
    """

    def __init__(
        self,
        report: Callable[[RunnerSignal], None],
        job: JobDefinition,
        context: ExecutorContext,
        raised: Raised | None = None,
        scope: ResourceScope | None = None,
    ) -> None:
        self.worker_id = f"in-process-{secrets.token_hex(4)}"
        self.pump: Callable[[], None] = _nothing
        self._report = report
        self._job = job
        self._context = context
        self._raised = raised
        self._scope = scope or ResourceScope(job, context.run, context.home, instance=context.instance)
        self._owns_scope = scope is None
        self._running: AttemptRef | None = None
        self._interrupted = False
        self._interrupts = Interrupts(WAKE, DagsterExecutionInterruptedError)
        self._resources_open = False
        self._began = time.perf_counter()
        self._capture = LogCapture(context.logs, context.run.run_id, [step.key for step in context.plan.steps])

    # StepRunner -------------------------------------------------------------------------------------------------------------

    def start(self, order: StepOrder) -> None:
        """Run the attempt; everything it wrote has been reported when this returns."""
        limit = TimeLimit(order.step.timeout_s)
        written = _Written(self._report, order, self._pump, limit)
        self._running = order.ref
        was_interrupted = False
        try:
            if self._interrupted:
                raise DagsterExecutionInterruptedError
            self._open_resources()
            with limit:
                perform_step(self._request(order), written.take)
        except DagsterExecutionInterruptedError:
            was_interrupted = True
        finally:
            self._running = None
            self._interrupts.end()
            written.flush()
        if written.has_outcome:
            return
        if limit.passed:
            evidence = f"it took longer than its time limit of {order.step.timeout_s:g} seconds"
            self._report(StepGone(order.ref, FailureCause.TIMED_OUT, evidence))
        elif was_interrupted:
            self._report(StepGone(order.ref, FailureCause.CANCELED, "it was interrupted while no user code ran"))

    def stop(self, ref: AttemptRef, grace_s: float, cause: FailureCause) -> None:
        """Nothing to do: when the driver can ask, no attempt runs."""
        self._report(StepGone(ref, cause, "no step runs in this process any more"))

    def probe(self, ref: AttemptRef) -> None:
        """What a former process of the run ran is gone with it."""
        self._report(StepGone(ref, FailureCause.LOST, "it ran in the process of the run's former worker"))

    def close(self) -> None:
        """Close the run's resources, unless somebody else does, and the log."""
        if self._owns_scope:
            notes: list[NewEvent] = []
            self._scope.close(notes.append, step=None, n=None)
            if notes:
                self._report(RunnerNote(notes))
        self._context.log_settings.close()
        self._capture.end()

    def inherit_logs(self, log_keys: Sequence[Sequence[str]]) -> None:
        """See ``InheritsLogs``."""
        for key in log_keys:
            self._context.logs.finish(key)

    # Abilities ----------------------------------------------------------------------------------------------------------------

    def interrupt(self) -> None:
        """Raise in the user code that runs now. Called in the thread that runs it, by a signal handler."""
        self._interrupted = True
        if self._running is not None:
            self._interrupts.interrupt()

    def claim_body(self, ref: AttemptRef) -> Mapping[str, Any]:
        """Nothing is started for the step: no event of it is shown."""
        return {}

    def opening(self, step_keys: Sequence[str]) -> Sequence[NewEvent]:
        """See ``Announces``."""
        metadata = {"pid": str(os.getpid()), "step_keys": str(list(step_keys))}
        notes = [engine_event(f"Executing steps in process (pid: {os.getpid()})", metadata)]
        if self._context.owns_process:
            notes.append(self._capture.begin())
        return notes

    def closing(self) -> Sequence[NewEvent]:
        """See ``Announces``."""
        took = in_words(1000 * (time.perf_counter() - self._began))
        return [engine_event(f"Finished steps in process (pid: {os.getpid()}) in {took}", {"pid": str(os.getpid())})]

    def launching(self, ref: AttemptRef) -> Sequence[NewEvent]:
        """Nothing is launched."""
        return []

    # Inside ---------------------------------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Not to be interrupted in the middle of a transaction: an interrupt that comes meanwhile is raised afterwards."""
        running, self._running = self._running, None
        self.pump()
        self._running = running
        if self._interrupted:
            self._interrupts.interrupt()

    def _open_resources(self) -> None:
        """Once for the run. A resource that fails fails the run, not a step: as Dagster does."""
        if self._resources_open:
            return
        notes: list[NewEvent] = []
        run, settings = self._context.run, self._context.log_settings
        log = step_logger(notes.append, run, step=None, n=None, level=settings.level)
        keys = sorted({key for step in self._context.plan.steps for key in step.resource_keys})
        try:
            choose_loggers(log, self._job, self._scope.config.loggers, run, step=None, n=None)
            with listened(log, settings, run, step=None, n=None):
                self._scope.open(keys, notes.append, log, step=None, n=None)
            self._resources_open = True
        finally:
            if notes:
                self._report(RunnerNote(notes))

    def _request(self, order: StepOrder) -> StepRequest:
        return StepRequest(
            job=self._job,
            run=order.run,
            step=order.step,
            step_key=order.ref.step,
            n=order.ref.n,
            home=self._context.home,
            retry_number=order.retry_number,
            retries_enabled=order.retries_enabled,
            inputs=order.inputs,
            scope=self._scope,
            instance=self._context.instance,
            values=values_of(self._context),
            log_settings=self._context.log_settings,
            raised=self._raised,
        )


class InProcessExecutor:
    """The executor called ``in_process``."""

    def __init__(
        self,
        settings: DriverSettings,
        context: ExecutorContext,
        raised: Raised | None = None,
        scope: ResourceScope | None = None,
    ) -> None:
        self.settings = settings
        self._scope = scope
        self._context = context
        self._raised = raised
        self._job: JobDefinition | None = None

    @classmethod
    def from_config(cls, config: Mapping[str, Any], context: ExecutorContext) -> InProcessExecutor:
        """Made from validated config: ``retries``; steps run one at a time."""
        return cls(driver_settings(config, max_concurrent=1), context)

    def prepare(self) -> None:
        """Load the job into this process. Raises ``CodeLoadError``."""
        self._job = self._context.load_job()

    def make_runner(self, report: Callable[[RunnerSignal], None]) -> InProcessRunner:
        """See ``Executor``."""
        job = self._job if self._job is not None else self._context.load_job()
        return InProcessRunner(report, job, self._context, self._raised, self._scope)


class _Written:
    """What an attempt wrote and the driver has not been told yet."""

    def __init__(
        self, report: Callable[[RunnerSignal], None], order: StepOrder, pump: Callable[[], None], limit: TimeLimit
    ) -> None:
        self._report = report
        self._order = order
        self._pump = pump
        self._limit = limit
        self._events: list[NewEvent] = []
        self._pumped = time.monotonic()
        self.has_outcome = False

    def take(self, event: NewEvent) -> None:
        if event.kind in OUTCOMES:
            if self._limit.passed and event.body.get("cause") == FailureCause.CANCELED:
                return  # the interrupt that the time limit raised is not the outcome: the limit is
            self.has_outcome = True
        self._events.append(event)
        if time.monotonic() - self._pumped > PUMP_EVERY_S:
            self.flush()
            self._pump()
            self._pumped = time.monotonic()

    def flush(self) -> None:
        if self._events:
            self._report(StepWrote(self._order.ref, self._order.nonce or "", self._events))
            self._events = []


def _nothing() -> None:
    """No driver pumps this runner."""
