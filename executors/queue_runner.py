"""The coordinator's side of steps in queues: puts attempts there, hears of their ends, and of workers that are gone.

What the attempt itself writes comes by the log. Here is only watched who has it: the worker's row says whether that lives.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ..celery_app.settings import CelerySettings, priority_of, queue_of
from ..config.pointer import ClassPointer, load_class
from ..errors import ConfigErrors, StorageUnavailableError
from ..errors.exit_codes import ExitCode
from ..events.causes import FailureCause
from ..events.event import Event, NewEvent
from ..events.wire import to_text
from ..storage.contract import AttemptRef
from ..storage.leases import LOOKS_PER_TTL, BeatWatch
from ..storage.step_queues import QueuedStep, StepQueues, nobody_listens, watcher_gone
from .contract import PartFailed, RunnerNote, RunnerSignal, StepGone, StepOrder, StepRefused, engine_event
from .settings import ExecutorContext
from .step_arguments import step_arguments
from .wanted_lines import CAN_NOT, PATIENCE_S, WantedLines

LOOK_S = 0.5
LINES_LOOK_S = 0.1
SAID_AFTER_S = 10.0
"""A step that waits for so long in a queue without a worker is said."""
PROCESS, POD = "process", "job"
"""Kinds of what a worker is to start: a process on its machine, which ends with it, or a Kubernetes Job, which does not."""


class StepKind(Protocol):
    """What is started for the steps of a run."""

    is_apart: bool
    """Whether it goes on without the worker that started it."""

    def body(self, order: StepOrder, epoch: int) -> Mapping[str, Any]:
        """What a worker is to start. Raises ConfigErrors."""

    def launching(self, ref: AttemptRef) -> Sequence[NewEvent]:
        """See ``Announces``."""

    def taken(self, ref: AttemptRef, by: QueuedStep) -> Sequence[NewEvent]:
        """What is to be said when a worker has it."""

    def name(self, ref: AttemptRef) -> str:
        """What was started for it, for people."""


class Processes:
    """Steps that are processes of their worker. See ``StepKind``."""

    is_apart = False

    def body(self, order: StepOrder, epoch: int) -> Mapping[str, Any]:
        """See ``StepKind``."""
        return {"kind": PROCESS, "document": to_text(step_arguments(order, epoch, instance=None))}

    def launching(self, ref: AttemptRef) -> Sequence[NewEvent]:
        """See ``StepKind``."""
        return [engine_event(f'Putting step "{ref.step}" into its queue.', ref=ref)]

    def taken(self, ref: AttemptRef, by: QueuedStep) -> Sequence[NewEvent]:
        """See ``StepKind``."""
        return ()

    def name(self, ref: AttemptRef) -> str:
        """See ``StepKind``."""
        return f"the process of step {ref.step}"


class PublishesHints(Protocol):
    """Tells workers through a broker where to look."""

    def announce(self, step: QueuedStep) -> None:
        """An attempt was put into its queue."""

    def still_waiting(self, steps: Sequence[QueuedStep]) -> None:
        """These were not taken yet: what was lost is sent again."""

    def withdraw(self, step: QueuedStep) -> None:
        """It is not to be started any more."""

    def close(self) -> None:
        """Send nothing any more."""


MakePublisher = Callable[[StepQueues, str, Callable[[RunnerSignal], None]], PublishesHints | None]


def publisher_maker(settings: CelerySettings, *, where: str) -> MakePublisher:
    """What makes a publisher, given the queues, the instance's id and who is told of the broker. It makes none where there is no broker: workers
    look by themselves, and kombu is not loaded, an eighth of all that such a run's process does.

    Raises:
        NotFoundError: kombu is not installed.
    """
    if settings.uses_database:
        return lambda _queues, _instance, _report: None
    publisher = load_class(_PUBLISHER, where=where)
    return lambda queues, instance, report: publisher(settings, queues, instance, report)


_PUBLISHER = ClassPointer(f"{__package__}.queue_publisher", "Publisher", {})


class QueueRunner:
    """See ``StepRunner``.

    Args:
        report: takes signals; called from a thread of this runner's too.
        context: run, plan and instance.
        queues: where the attempts are put.
        publisher: tells workers; None: they look by themselves.
        kind: what workers start.
        remarks: events to begin with.
        ttl_s: how long a worker's beat has to stand still before what it watches is given up.
    """

    def __init__(
        self,
        report: Callable[[RunnerSignal], None],
        context: ExecutorContext,
        queues: StepQueues,
        publisher: PublishesHints | None,
        kind: StepKind,
        *,
        ttl_s: float,
        remarks: Sequence[NewEvent] = (),
    ) -> None:
        self._report = report
        self._context = context
        self._queues = queues
        self._publisher = publisher
        self._kind = kind
        self._remarks = remarks
        self._ttl_s = ttl_s
        self._watched: set[AttemptRef] = set()
        self._taken: set[AttemptRef] = set()
        self._causes: dict[AttemptRef, FailureCause] = {}
        self._alone_since: dict[AttemptRef, float] = {}
        self._beats: dict[str, BeatWatch] = {}
        self._unheard: set[str] = set()
        self._wanted_lines = WantedLines()
        self._failed: set[AttemptRef] = set()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="runplane-queues", daemon=True)
        self._thread.start()

    def start(self, order: StepOrder) -> None:
        """See ``StepRunner``."""
        ref = order.ref
        where = f"step {ref.step}"
        try:
            queue = queue_of(order.step.tags, where=where)
            priority = priority_of(order.run.tags, order.step.tags, where=where)
            body = self._kind.body(order, self._context.epoch)
        except ConfigErrors as e:
            self._report(StepRefused(ref, str(e)))
            return
        run_id = order.run.run_id
        tells = self._publisher is None
        self._queues.put(run_id, ref, queue, priority, body, apart=self._kind.is_apart, tells=tells)
        self._watched.add(ref)
        if self._publisher is not None:
            self._publisher.announce(QueuedStep(run_id, ref, queue, priority))

    def stop(self, ref: AttemptRef, grace_s: float, cause: FailureCause) -> None:
        """See ``StepRunner``."""
        self._causes[ref] = cause
        self._watched.add(ref)
        self._queues.ask_to_stop(self._context.run.run_id, ref, grace_s)

    def probe(self, ref: AttemptRef) -> None:
        """See ``StepRunner``. Adopts what another coordinator put there, and what that said is not said again."""
        self._taken.add(ref)
        self._watched.add(ref)

    def close(self) -> None:
        """What is taken goes on: another coordinator adopts it."""
        self._closed.set()
        self._thread.join()
        if self._publisher is not None:
            self._publisher.close()
        self._queues.tidy(self._context.run.run_id)

    def launching(self, ref: AttemptRef) -> Sequence[NewEvent]:
        """See ``Announces``."""
        return self._kind.launching(ref)

    def opening(self, step_keys: Sequence[str]) -> Sequence[NewEvent]:
        """See ``Announces``."""
        return self._remarks

    def closing(self) -> Sequence[NewEvent]:
        """See ``Announces``. What failed pods printed last is in the log before their workers say that they have ended: that is waited for."""
        given_up = time.monotonic() + PATIENCE_S
        while missing := self._without_lines():
            if time.monotonic() >= given_up:
                steps = ", ".join(ref.step for ref in missing[:5])
                why = f"their workers did not say within {PATIENCE_S:g} s that these pods have ended (steps: {steps})"
                return [engine_event(f"{CAN_NOT} yet: {why}.")]
            self._closed.wait(LINES_LOOK_S)
        return ()

    def heard(self, events: Sequence[Event]) -> None:
        """See ``HearsLog``."""
        if self._kind.is_apart:
            self._failed.update(self._wanted_lines.heard(events))

    def news(self) -> Sequence[NewEvent]:
        """See ``HearsLog``. Whoever watches a pod writes to the log itself."""
        return ()

    # Watching ------------------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        # A beat has to be looked at several times in a TTL.
        look_s = min(LOOK_S, self._ttl_s / (2 * LOOKS_PER_TTL))
        try:
            while not self._closed.wait(look_s):
                if self._watched:
                    try:
                        self._look()
                    except StorageUnavailableError:
                        continue
        except Exception as error:  # noqa: BLE001 - who waits for these signals has to hear that none will come
            self._report(PartFailed(error))

    def _look(self) -> None:
        # Before the rows: what is put there in between is looked at in the next round.
        watched = list(self._watched)
        rows = {row.ref: row for row in self._queues.of_run(self._context.run.run_id)}
        waiting, unwatched = [], []
        ended = False
        for ref in watched:
            row = rows.get(ref)
            found = self._end_of(ref, row)
            if found is not None:
                cause, evidence = found
                ended = True
                self._watched.discard(ref)
                self._taken.discard(ref)
                if row is not None and row.watcher is not None and row.ended is None and not row.is_apart:
                    self._queues.end(row.run_id, ref, row.watcher, {"text": evidence})
                if row is not None and row.watcher is None and self._publisher is not None:
                    self._publisher.withdraw(row)
                was_refused = row is not None and row.ended is not None and row.ended.get("refused")
                if was_refused and ref not in self._causes:
                    self._report(StepRefused(ref, evidence))
                else:
                    self._report(StepGone(ref, self._causes.pop(ref, cause), evidence))
            elif row is not None and row.watcher is None:
                self._taken.discard(ref)
                waiting.append(row)
            elif row is not None:
                self._say_taken(row)
                if row.is_apart and self._why_lost(row) is not None:
                    unwatched.append(row)
        if waiting and self._publisher is not None:
            self._publisher.still_waiting(waiting)
        self._say_unheard(waiting, unwatched)
        if ended:
            self._queues.tidy(self._context.run.run_id)

    def _end_of(self, ref: AttemptRef, row: QueuedStep | None) -> tuple[FailureCause, str] | None:
        """Whether the attempt is proven gone: why, and how that is known."""
        if row is None:
            # The worker removed it when it was decided; or it was issued by a coordinator that did not live to put it there.
            return FailureCause.LOST, "it stands in no queue"
        if row.ended is not None:
            return _cause_of(row.ended), str(row.ended.get("text", "its worker says that it has ended"))
        if row.watcher is None:
            return (FailureCause.LOST, "it was taken back before a worker had it") if row.stopping else None
        lost = self._why_lost(row)
        if row.is_apart:
            # It goes on without its worker: another one adopts it, and says how it ends.
            return self._left_alone(row, lost)
        return None if lost is None else (FailureCause.LOST, lost)

    def _without_lines(self) -> list[AttemptRef]:
        """Failed attempts whose pods somebody watches still."""
        if not self._failed:
            return []
        rows = self._queues.of_run(self._context.run.run_id)
        watched = [row for row in rows if row.watcher is not None and row.ended is None and watcher_gone(row) is None]
        return [row.ref for row in watched if row.ref in self._failed]

    def _left_alone(self, row: QueuedStep, lost: str | None) -> tuple[FailureCause, str] | None:
        """Whether a canceled run goes on without what nobody ends: no worker has adopted it for as long as one may be silent. Its row stays, so
        that the next worker of the queue ends it."""
        if lost is None:
            self._alone_since.pop(row.ref, None)
            return None
        alone_s = time.monotonic() - self._alone_since.setdefault(row.ref, time.monotonic())
        is_canceled = self._causes.get(row.ref) is FailureCause.CANCELED
        if not is_canceled or alone_s < self._ttl_s:
            return None
        text = f"{self._kind.name(row.ref)} was not deleted, as {lost}, and may still run: the next worker of queue {row.queue} deletes it"
        self._report(
            RunnerNote([engine_event(f"{text}. Start one: runplane celery worker start -q {row.queue}")], row.ref)
        )
        return FailureCause.CANCELED, text

    def _why_lost(self, row: QueuedStep) -> str | None:
        """How it is known that nobody watches a step that was taken; None: its worker may live."""
        gone = watcher_gone(row)
        if gone is not None:
            return gone
        assert row.watcher is not None
        assert row.owner is not None
        watch = self._beats.setdefault(row.watcher, BeatWatch(self._ttl_s))
        if watch.stood_still(row.beat):
            return f"worker {row.watcher} on {row.owner.host} was not heard of for {self._ttl_s:g} s"
        return None

    def _say_taken(self, row: QueuedStep) -> None:
        if row.ref not in self._taken:
            self._taken.add(row.ref)
            events = self._kind.taken(row.ref, row)
            if events:
                self._report(RunnerNote(events, row.ref))

    def _say_unheard(self, waiting: Sequence[QueuedStep], unwatched: Sequence[QueuedStep]) -> None:
        """Name each queue that steps wait in, or that pods run in which nobody watches, and no worker of this version listens to; once, until
        one does."""
        late = {row.queue for row in (*waiting, *unwatched) if row.waited_s > SAID_AFTER_S}
        if not late and not self._unheard:
            return
        listening = self._queues.listening()
        nobody = {queue: nobody_listens(queue, listening) for queue in late | self._unheard}
        self._unheard -= {queue for queue, said in nobody.items() if said is None}
        for queue in sorted(queue for queue in late - self._unheard if nobody[queue] is not None):
            self._unheard.add(queue)
            steps = [row.ref.step for row in waiting if row.queue == queue]
            alone = sum(row.queue == queue for row in unwatched)
            what = f"{len(steps)} steps wait there ({', '.join(steps[:5])})" if steps else "no step waits there"
            text = (
                f"{nobody[queue]}: {what}{f', and nobody watches {alone} pods' if alone else ''}."
                f" Start one: runplane celery worker start -q {queue}"
            )
            self._report(RunnerNote([engine_event(text)]))


def _cause_of(ended: Mapping[str, Any]) -> FailureCause:
    """What the worker says, or the exit code of an attempt's process; a process that was killed with its worker has none."""
    if "cause" in ended:
        return FailureCause(ended["cause"])
    code = ended.get("code")
    if code is None or code in (-signal.SIGKILL, ExitCode.DATABASE_UNREACHABLE):
        return FailureCause.LOST
    return FailureCause.CRASHED
