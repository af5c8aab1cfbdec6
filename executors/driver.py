"""THE loop: engine commands become storage operations and runner calls; what comes back becomes engine stimuli.

One thread, one inbox. What a turn decides is stored in one transaction before anything is started, so that in a run whose
steps write through the driver an op costs one commit: the outcome of one step, the issue and the claim of the next.

The driver is fenced by its epoch: when a commit says that somebody newer coordinates the run, it ends its children and leaves.
"""

from __future__ import annotations

import heapq
import queue
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..engine.commands import (
    Command,
    FinishRun,
    Gone,
    Happened,
    IntentSet,
    IssueStep,
    LaunchRefused,
    LaunchStep,
    PoolsFull,
    ProbeStep,
    Record,
    SealStep,
    Stimulated,
    StopStep,
    WakeAt,
    Woke,
)
from ..engine.engine import Engine
from ..engine.retries import with_jitter
from ..engine.snapshot import PlanSnapshot, RetryPlan
from ..errors import ConflictError, FencedError
from ..events.causes import FailureCause, RunFailureReason
from ..events.event import Event, NewEvent
from ..events.kinds import Category, EventKind, category_of
from ..events.run import Run
from ..events.status import RunStatus
from ..serdes.record import record
from ..storage.contract import (
    Accepted,
    Append,
    AttemptRef,
    Committed,
    Finish,
    Issue,
    Op,
    OpResult,
    Refused,
    RunClaim,
    Seal,
)
from ..storage.journal import Journal
from ..storage.pools import Pools
from ..storage.rules import OPS_PER_BATCH
from .contract import (
    Announces,
    HearsLog,
    InheritsLogs,
    Paced,
    PartFailed,
    Pumped,
    RunnerNews,
    RunnerNote,
    RunnerSignal,
    StepGone,
    StepOrder,
    StepRefused,
    StepRunner,
    StepWrote,
    WritesThroughDriver,
)
from .inbox import Inbox
from .room import RoomSeen, RoomWatch
from .settings import DriverSettings

POOL_RETRY_S = 1.0
"""When a full pool is asked again though no room was seen in it: the poll behind ``RoomWatch``."""
STOP_REPEAT_S = 5.0
BATCH_BYTES = 1024 * 1024
"""How much of what attempts wrote one batch takes: a step that writes without end holds the database's locks for moments only."""


@record
class ControlSeen:
    """The run's intent, as the heartbeat read it, or that this coordinator was replaced; and that the log may have grown."""

    intent: str
    fenced: bool = False


@record
class LeaveAsked:
    """This process was told to end (SIGTERM) while the run is to go on elsewhere."""


@record
class EndAsked:
    """The run is to end: ``cancel`` (a person), ``deadline``, ``lost`` (told to leave, and nobody may resume it)."""

    intent: str


ATTEMPT_FACTS = frozenset(
    {
        EventKind.STEP_WORKER_STARTED,
        EventKind.STEP_OUTPUT,
        EventKind.STEP_SUCCESS,
        EventKind.STEP_FAILURE,
        EventKind.STEP_UP_FOR_RETRY,
    }
)
"""What an attempt writes. All other facts of a step are the coordinator's own."""
Signal = RunnerSignal | ControlSeen | LeaveAsked | EndAsked | RoomSeen
DEADLINE = "run deadline"


class Driver:
    """Coordinates one run until it is over.

    Args:
        journal: where the run is stored.
        run: the run.
        plan: its plan.
        claim: this coordinator's authority.
        make_runner: given the function that reports, makes the step runner.
        settings: limits and time-outs.
        max_runtime_s: how long the run may take from its start, or None.

    Attributes:
        room: the pools it waits for; the supervisor's thread looks at them.
    """

    def __init__(
        self,
        journal: Journal,
        run: Run,
        plan: PlanSnapshot,
        claim: RunClaim,
        make_runner: Callable[[Callable[[RunnerSignal], None]], StepRunner],
        settings: DriverSettings | None = None,
        max_runtime_s: float | None = None,
    ) -> None:
        self._journal = journal
        self._run = run
        self._plan = plan
        self._claim = claim
        self._settings = settings or DriverSettings()
        self._max_runtime_s = max_runtime_s
        self._inbox: Inbox[Signal] = Inbox()
        self.room = RoomWatch(Pools(journal.database), self._inbox.put)
        self._engine = Engine(
            plan,
            self._settings.limits,
            run_id=run.run_id,
            retries_enabled=self._settings.retries_enabled,
            eager=self._settings.eager,
        )
        self._runner = make_runner(self._inbox.put)
        # Asked once: `isinstance` looks for every method of a protocol, and these are asked for each step.
        self._announcer = self._runner if isinstance(self._runner, Announces) else None
        self._writer = self._runner if isinstance(self._runner, WritesThroughDriver) else None
        self._listener = self._runner if isinstance(self._runner, HearsLog) else None
        if isinstance(self._runner, Pumped):
            self._runner.pump = self._pump
        if isinstance(self._runner, Paced):
            self._runner.has_enough = self._inbox.has_enough
        self._batch = 0
        self._taken_bytes = 0
        self._seen = claim.head
        self._clock_offset = 0.0
        self._ops: list[tuple[Op, Callable[[OpResult], None]]] = []
        self._acts: list[Command] = []
        self._timers: list[tuple[float, int, str]] = []
        self._timer_count = 0
        self._nonces: dict[AttemptRef, str | None] = {}
        self._stopping: dict[AttemptRef, FailureCause] = {}
        self._status: RunStatus | None = None
        self._leaving = False
        self._leave_by: float | None = None
        self._handed_on: set[AttemptRef] = set()

    @property
    def follows_log(self) -> bool:
        """Whether attempts write to storage themselves, so that the log has to be read to hear of them."""
        return self._writer is None

    @property
    def is_over(self) -> bool:
        """Whether the run's end is stored. What is left is to end what served it."""
        return self._status is not None

    def tell(self, signal: Signal) -> None:
        """Put something into the inbox. May be called from any thread."""
        self._inbox.put(signal)

    def drive(self) -> RunStatus | None:
        """Run to the end.

        Returns:
            The run's final status; None when this coordinator left and the run goes on elsewhere.

        Raises:
            FencedError: another coordinator took over; everything of ours has been ended.
            BaseException: what ended a thread that serves this one (``PartFailed``).
        """
        try:
            self._watch_deadline()
            self._take(self._resume() if self._claim.resumed else self._begin())
            while self._turn():
                pass
        finally:
            self._runner.close()
        if self._status is not None:
            self._keep_what_came_last()
        return self._status

    def _keep_what_came_last(self) -> None:
        """What steps told after their outcome, while the run ended: hooks, lines of a log. Facts can not come any more."""
        late: list[NewEvent] = []
        for signal in self._inbox.rest():
            if isinstance(signal, (StepWrote, RunnerNote)):
                late += (e for e in signal.events if category_of(e.kind) is Category.ANNOTATION)
        if late:
            self._journal.annotate(self._run.run_id, late)

    # One turn ----------------------------------------------------------------------------------------------------------------

    def _begin(self) -> list[Command]:
        if self._announcer is not None:
            self._note(self._announcer.opening([s.key for s in self._plan.steps]))
        return self._engine.start()

    def _resume(self) -> list[Command]:
        if self._announcer is not None:
            self._note(self._announcer.opening([s.key for s in self._plan.steps]))
        events = list(self._journal.history(self._run.run_id))
        if isinstance(self._runner, InheritsLogs):
            self._runner.inherit_logs([e.body["log_key"] for e in events if e.kind == EventKind.LOGS_CAPTURED])
        if self._listener is not None:
            self._listener.heard(events)
        self._engine.fold(_as_fact(event) for event in events)
        self._seen = len(events)
        return self._engine.resume()

    def _watch_deadline(self) -> None:
        if self._max_runtime_s is not None:
            started = self._run.started_at or self._now()
            self._wake_at(started + self._max_runtime_s, DEADLINE)

    def _turn(self) -> bool:
        """Store, act, listen. False when there is nothing more to do."""
        self._store()
        if self._status is not None or self._has_left():
            return False
        acts, self._acts = self._acts, []
        for act in acts:
            self._act(act)
        # A step that ran in this thread may have had its outcome stored on the way (`_pump`), and with it the run's end: nobody says
        # anything any more then.
        if self._status is None:
            self._listen()
        return True

    def _pump(self) -> None:
        """Called from inside a step that runs in this thread: take what it reported, and store it."""
        try:
            while True:
                self._on_signal(self._inbox.get(0.0))
        except queue.Empty:
            pass
        self._store()

    def _store(self) -> None:
        while self._ops:
            batch, self._ops = self._ops[:OPS_PER_BATCH], self._ops[OPS_PER_BATCH:]
            self._batch += 1
            done = self._journal.commit(self._run.run_id, self._claim.epoch, self._batch, [op for op, _ in batch])
            self._clock_offset = done.at - time.time()
            self._after_commit(batch, done)

    def _after_commit(self, batch: Sequence[tuple[Op, Callable[[OpResult], None]]], done: Committed) -> None:
        for (_, then), result in zip(batch, done.results, strict=True):
            then(result)
        if done.intent != "none" and self._engine.intent == "none":
            self._stimulate(IntentSet(done.intent))

    def _listen(self) -> None:
        """Wait for the first signal or timer, then take what is there, as much as one batch should hold."""
        self._taken_bytes = 0
        if self._ops or self._acts:
            timeout = 0.0
        else:
            timeout = max(0.0, self._timers[0][0] - self._now()) if self._timers else 3600.0
            if self._leave_by is not None:
                timeout = min(timeout, max(0.0, self._leave_by - time.monotonic()))
        try:
            self._on_signal(self._inbox.get(timeout))
            while len(self._ops) < OPS_PER_BATCH and self._taken_bytes < BATCH_BYTES:
                self._on_signal(self._inbox.get(0.0))
        except queue.Empty:
            pass
        while self._timers and self._timers[0][0] <= self._now():
            _, _, key = heapq.heappop(self._timers)
            self._on_timer(key)

    # Signals in ----------------------------------------------------------------------------------------------------------------

    def _on_signal(self, signal: Signal) -> None:
        if isinstance(signal, StepWrote):
            self._on_wrote(signal)
        elif isinstance(signal, StepGone):
            self._stopping.pop(signal.ref, None)
            self._stimulate(Gone(signal.ref.step, signal.ref.n, signal.cause, signal.evidence))
        elif isinstance(signal, StepRefused):
            self._stimulate(LaunchRefused(signal.ref.step, signal.ref.n, signal.evidence))
        elif isinstance(signal, RunnerNote):
            self._note(signal.events)
        elif isinstance(signal, RunnerNews):
            if self._listener is not None:
                self._note(self._listener.news())
        elif isinstance(signal, ControlSeen):
            self._on_control(signal)
        elif isinstance(signal, EndAsked):
            self._end_run(signal.intent)
        elif isinstance(signal, PartFailed):
            raise signal.error
        elif isinstance(signal, RoomSeen):
            self._stimulate(Woke(signal.key, self._now()))
        else:
            self._leave()

    def _on_wrote(self, wrote: StepWrote) -> None:
        self._taken_bytes += wrote.size
        events = wrote.events
        leaving = self._leaving and self._engine.intent == "none"
        if leaving or self._stopping.get(wrote.ref) is FailureCause.TIMED_OUT:
            # The interrupt it felt is not its outcome: the time limit is the cause, or the next coordinator runs it again.
            events = [e for e in events if e.body.get("cause") != FailureCause.CANCELED]
            if leaving and len(events) < len(wrote.events):
                self._handed_on.add(wrote.ref)
        if not events:
            return
        self._append(Append(events, wrote.ref, wrote.nonce))
        at = self._now()
        for e in events:
            if category_of(e.kind) is not Category.ANNOTATION:
                self._stimulate(Happened(e.kind, e.step, e.n, e.body, at))

    def _on_control(self, seen: ControlSeen) -> None:
        if seen.fenced:
            raise FencedError("another coordinator took the run over", where=f"run {self._run.run_id}")
        if self.follows_log:
            self._read_log()
        if seen.intent != "none":
            self._stimulate(IntentSet(seen.intent))

    def _read_log(self) -> None:
        """Hear of what attempts have written since. What belongs to an attempt that is decided already is history."""
        while events := self._journal.tail(self._run.run_id, self._seen):
            if self._listener is not None:
                self._listener.heard(events)
            for event in events:
                self._seen = event.seq
                step = self._engine.steps.get(event.step or "")
                if event.kind in ATTEMPT_FACTS and step is not None and step.n == event.n and step.is_open:
                    self._stimulate(_as_fact(event))

    def _leave(self) -> None:
        """Told to end while the run may go on elsewhere; unless it was canceled, and this is how we are told."""
        head = self._journal.head(self._run.run_id)
        if head.intent != "none":
            self._stimulate(IntentSet(head.intent))
            return
        self._leaving = True
        self._leave_by = time.monotonic() + self._settings.drain_s

    def _end_run(self, intent: str) -> None:
        """Store the intent, so that a coordinator after this one goes on with it; then act on it."""
        message = "Sending run termination request."
        if intent == "deadline":
            message = f"Canceling due to exceeding maximum runtime of {self._max_runtime_s or 0:.0f} seconds."
        head = self._journal.intend(self._run.run_id, intent, canceling_event(intent, message), canceled_event())
        if head.intent != "none":
            self._stimulate(IntentSet(head.intent))

    def _on_timer(self, key: str) -> None:
        if key == DEADLINE:
            self._end_run("deadline")
            return
        if key.startswith("stop:"):
            step, n = key[5:].rsplit("@", 1)
            ref = AttemptRef(step, int(n))
            if ref in self._stopping:
                self._stop(ref, self._stopping[ref])
            return
        self._stimulate(Woke(key, self._now()))

    # Commands out --------------------------------------------------------------------------------------------------------------

    def _stimulate(self, stimulus: Stimulated) -> None:
        self._take(self._engine.handle(stimulus))

    def _take(self, commands: Sequence[Command]) -> None:
        for command in commands:
            if isinstance(command, IssueStep):
                self._issue(command)
            elif isinstance(command, Record):
                self._record(command)
            elif isinstance(command, SealStep):
                self._seal(command)
            elif isinstance(command, FinishRun):
                self._finish(command)
            elif isinstance(command, WakeAt):
                self._wake_at(command.at, command.key)
                if command.pools:
                    self.room.await_room(command.key, command.pools)
            else:
                self._acts.append(command)

    def _issue(self, command: IssueStep) -> None:
        if self._leaving:
            return
        ref = AttemptRef(command.step, command.n)
        notes = self._announcer.launching(ref) if self._announcer is not None else ()
        worker, body = self._worker_and_body(ref)
        op = Issue(ref, command.pools, command.priority, command.retry_number, worker, body, notes)
        self._ops.append((op, lambda result: self._issued(command, ref, result)))

    def _worker_and_body(self, ref: AttemptRef) -> tuple[str | None, Mapping[str, Any]]:
        """Who claims the attempt in the transaction that issues it, if anybody does."""
        return (self._writer.worker_id, self._writer.claim_body(ref)) if self._writer is not None else (None, {})

    def _issued(self, command: IssueStep, ref: AttemptRef, result: OpResult) -> None:
        at = self._now()
        if isinstance(result, Refused):
            if result.why not in ("pool_full", "run_is_ending"):
                raise ConflictError(
                    f"the attempt can not be issued: {result.why}", where=f"step {ref.step} attempt {ref.n}"
                )
            # An intent that we have not heard of refuses too; the engine is told right after this batch.
            self._stimulate(PoolsFull(command.step, command.n, at + POOL_RETRY_S))
            return
        self._nonces[ref] = result.nonce
        self._stimulate(Happened(EventKind.STEP_ISSUED, ref.step, ref.n, {}, at))
        if result.nonce is not None:
            self._stimulate(Happened(EventKind.STEP_WORKER_STARTED, ref.step, ref.n, {}, at))

    def _record(self, command: Record) -> None:
        body = _drawn(command.body, command.jitter) if command.jitter is not None else command.body
        event = NewEvent(command.kind, command.step, command.n, body, time.time())
        self._append(Append([event]), lambda: self._confirm(event))

    def _confirm(self, event: NewEvent) -> None:
        self._stimulate(Happened(event.kind, event.step, event.n, event.body, self._now()))

    def _seal(self, command: SealStep) -> None:
        ref = AttemptRef(command.step, command.n)

        def sealed(result: OpResult) -> None:
            if isinstance(result, Accepted) or result.why == "sealed":
                body = {"cause": command.cause.value, "evidence": command.evidence}
                self._stimulate(Happened(EventKind.STEP_SEALED, ref.step, ref.n, body, self._now()))
            elif self.follows_log:
                # It has an outcome: the log tells it. (An attempt that writes through us has told us already.)
                self._read_log()

        self._ops.append((Seal(ref, command.cause.value, command.evidence), sealed))

    def _finish(self, command: FinishRun) -> None:
        if self._announcer is not None:
            self._note(self._announcer.closing())
        event = NewEvent(command.kind, None, None, self._finish_body(command), time.time())

        def finished(result: OpResult) -> None:
            if isinstance(result, Accepted):
                self._status = _FINAL_OF[command.kind]
            elif result.why == "open_attempts":
                raise ConflictError("the run can not end while attempts are open", got=", ".join(result.detail))
            # Otherwise an intent came in between: the engine hears of it right after this batch and decides anew.

        expects = ("STARTED",) if self._engine.intent == "none" else ()
        self._ops.append((Finish(event, expects), finished))

    def _finish_body(self, command: FinishRun) -> Mapping[str, Any]:
        body = dict(command.body)
        job = self._plan.job_name
        if command.kind is EventKind.RUN_CANCELED:
            body["message"] = f'Execution of run for "{job}" canceled.'
        elif self._engine.intent == "deadline":
            body["message"] = f"Exceeded maximum runtime of {self._max_runtime_s or 0:.0f} seconds."
        elif self._engine.intent == "lost":
            body["reason"] = RunFailureReason.UNEXPECTED_TERMINATION.value
            body["message"] = (
                f'Execution of run for "{job}" failed. Its worker was told to end, and the run may not be resumed again.'
            )
        if "reason" in body:
            body["tags"] = {"dagster/failure_reason": body["reason"]}
        return body

    def _append(self, op: Append, then: Callable[[], None] | None = None) -> None:
        def stored(result: OpResult) -> None:
            if isinstance(result, Refused):
                where = f"step {op.ref.step} attempt {op.ref.n}" if op.ref else f"run {self._run.run_id}"
                raise ConflictError(
                    f"events were refused: {result.why}", where=where, got=", ".join(e.kind for e in op.events)
                )
            if then is not None:
                then()

        self._ops.append((op, stored))

    def _note(self, events: Sequence[NewEvent]) -> None:
        if events:
            self._append(Append(list(events)))

    # Acting --------------------------------------------------------------------------------------------------------------------

    def _act(self, command: Command) -> None:
        if isinstance(command, LaunchStep):
            self._launch(command)
        elif isinstance(command, StopStep):
            self._stop(AttemptRef(command.step, command.n), command.cause)
        elif isinstance(command, ProbeStep):
            self._runner.probe(AttemptRef(command.step, command.n))

    def _launch(self, command: LaunchStep) -> None:
        ref = AttemptRef(command.step, command.n)
        step = self._engine.steps[command.step]
        if step.n != ref.n or step.is_final or step.stopping is not None:
            if step.stopping is not None:
                self._tell_never_started(ref, step.stopping)
            return
        self._runner.start(
            StepOrder(
                run=self._run,
                step=step.plan,
                ref=ref,
                retry_number=command.retry_number,
                retries_enabled=self._settings.retries_enabled,
                nonce=self._nonces.pop(ref, None),
                inputs=self._engine.inputs_of(command.step),
            )
        )

    def _tell_never_started(self, ref: AttemptRef, cause: FailureCause) -> None:
        self._stimulate(Gone(ref.step, ref.n, cause, "it was to be stopped before it was started"))

    def _stop(self, ref: AttemptRef, cause: FailureCause) -> None:
        self._stopping[ref] = cause
        self._runner.stop(ref, self._settings.grace_s, cause)
        self._wake_at(self._now() + STOP_REPEAT_S, f"stop:{ref.step}@{ref.n}")

    def _wake_at(self, at: float, key: str) -> None:
        self._timer_count += 1
        heapq.heappush(self._timers, (at, self._timer_count, key))

    def _has_left(self) -> bool:
        """Told to leave: the steps that ran have ended, or their time is over."""
        if not self._leaving:
            return False
        steps = self._engine.steps.values()
        in_flight = any(s.is_open and AttemptRef(s.key, s.n) not in self._handed_on for s in steps)
        return not in_flight or (self._leave_by is not None and time.monotonic() >= self._leave_by)

    def _now(self) -> float:
        """Storage's clock, as far as the newest commit tells."""
        return time.time() + self._clock_offset


def canceling_event(intent: str, message: str) -> NewEvent:
    """The event that says that a run is to end, and why."""
    return NewEvent(EventKind.RUN_CANCELING, None, None, {"intent": intent, "message": message}, time.time())


def canceled_event(job_name: str | None = None) -> NewEvent:
    """The last event of a run that was canceled."""
    message = f'Execution of run for "{job_name}" canceled.' if job_name else "Run canceled before it was started."
    return NewEvent(EventKind.RUN_CANCELED, None, None, {"message": message}, time.time())


_FINAL_OF = {
    EventKind.RUN_SUCCESS: RunStatus.SUCCESS,
    EventKind.RUN_FAILURE: RunStatus.FAILURE,
    EventKind.RUN_CANCELED: RunStatus.CANCELED,
}


def _drawn(body: Mapping[str, Any], policy: RetryPlan) -> Mapping[str, Any]:
    """A retry's body with the policy's jitter in its delay."""
    return {**body, "seconds_to_wait": with_jitter(policy, body["seconds_to_wait"], random.random())}


def _as_fact(event: Event) -> Happened:
    return Happened(event.kind, event.step, event.n, event.body, event.at)
