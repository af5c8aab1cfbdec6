"""A worker of step queues: takes a step when it has a free slot, runs it in a process of its own or has a pod run it, and says how it ended.

Three threads. The main one hears of steps, takes them and reaps their processes. The supervisor beats for the worker and hears what is
to end. Both may wait for a database that is silent. The third one waits for nobody: it writes the local file that ``celery worker
status`` reads, and says there whether the other two go on.
"""

from __future__ import annotations

import math
import os
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from .. import __version__
from ..errors import NotFoundError, RunplaneError, StorageUnavailableError
from ..events.event import NewEvent
from ..executors.queue_runner import POD
from ..instance.instance import Instance
from ..storage.liveness import this_process
from ..storage.step_queues import HeldStep, NotTaken, QueueFigures, StepQueues
from ..storage.version import LEVEL
from .child_writes import ChildWrites
from .queue_hints import HintSource, Pointed
from .queue_steps import WatchedStep, not_started, start_step
from .rounds import Rounds
from .step_templates import StepTemplates
from .unread_pods import Key, UnreadPods, WantsLines

BUSY_S, IDLE_S = 0.05, 0.25
"""Between two looks for steps: while something happens, and when nothing does."""
BEAT_S = 1.0
FIGURES_S = 5.0
"""Between two looks at what waits in all queues, for ``celery worker status --json``."""
PATIENCE_S = 2.0
LEAVE_S = 8.0
"""What is left to do when it leaves may take so long, besides what its steps are given. Then it goes: its rows are known to be a dead one's when they are old."""
FULL_AGAIN_S = 0.5
ADOPT_S, CAN_NOT_ADOPT_S = 1.0, 30.0
"""Between two looks for pods that nobody watches; after one that this worker can not watch."""
Say = Callable[[str], None]


class HoldsPods(Protocol):
    """What a worker knows of pods: ``queue_pods.PodSteps``, which is loaded with the first one."""

    def __len__(self) -> int: ...

    def __contains__(self, key: Key) -> bool: ...

    def keys(self) -> set[Key]:
        """See ``PodSteps``."""

    def hold(self, key: Key, body: Mapping[str, Any], *, may_create: bool, waited_s: float = 0.0) -> None:
        """See ``PodSteps``."""

    def end(self, key: Key, grace_s: float) -> None:
        """See ``PodSteps``."""

    def drop(self, key: Key) -> None:
        """See ``PodSteps``."""

    def end_overdue(self) -> None:
        """See ``PodSteps``."""

    def told(self) -> ToldOfPods:
        """See ``PodSteps``."""

    def close(self) -> None:
        """See ``PodSteps``."""


class ToldOfPods(Protocol):
    """See ``queue_pods.Told``."""

    @property
    def ended(self) -> Mapping[Key, Mapping[str, Any]]: ...

    @property
    def notes(self) -> Mapping[str, list[NewEvent]]: ...


@dataclass(slots=True)
class _Parked:
    """What could not be taken yet, with the token that it is asked for with. `priority`: of its hint, when its queue was full."""

    pointed: Pointed
    token: str
    again_at: float
    priority: int | None = None


class QueueWorker:
    """One worker process.

    Args:
        instance: the instance; the supervisor uses a sibling of it.
        source: where it hears of steps.
        name: for people. queues: which it listens to, the first one first.
        slots: how many steps at once.
        grace_s: how long running steps have when it is told to leave.
        say: told what a person should know. tell: given the state for the local file.
        make_pods: makes what holds pods, given what says whose last lines are to be kept; called when the first one is to be held.
            Raises RunplaneError.
    """

    def __init__(
        self,
        instance: Instance,
        source: HintSource,
        *,
        name: str,
        queues: Sequence[str],
        slots: int,
        grace_s: float,
        say: Say,
        tell: Callable[[Mapping[str, Any]], None],
        make_pods: Callable[[WantsLines], HoldsPods],
    ) -> None:
        self.me = this_process()
        self._instance = instance
        self._queues = StepQueues(instance.database, ttl_s=instance.lease_ttl_s)
        self._source = source
        self._name = name
        self._listens = list(queues)
        self._slots = slots
        self._grace_s = grace_s
        self._say = say
        self._tell = tell
        self._make_pods = make_pods
        self._pods: HoldsPods | None = None
        self._adopt_at = 0.0
        self._was_away = False
        self._beaten_at = time.monotonic()
        self._writes = ChildWrites(instance.journal, self._wake)
        self._templates = StepTemplates((instance.database.module,), self._writes, say, self._wake)
        self._steps: dict[Key, WatchedStep] = {}
        self._ended: dict[Key, Mapping[str, Any]] = {}
        self._given_back: list[Key] = []
        self._shown: dict[Key, Pointed] = {}
        self._notes: dict[str, list[NewEvent]] = {}
        self._parked: dict[str, _Parked] = {}
        self._to_end: dict[Key, HeldStep] = {}
        self._answers: Counter[str] = Counter()
        self._levels_left: set[str] = set()
        self._lock = threading.Lock()
        self._is_leaving = False
        self._leave_by = math.inf
        self._has_left = threading.Event()
        self._woken: SimpleQueue[None] = SimpleQueue()
        self._done = threading.Event()
        self._since = time.time()
        self._beat_s = min(BEAT_S, instance.lease_ttl_s / 6)
        self._figures: list[QueueFigures] = []
        self._sibling = instance.sibling()
        self._turns, self._beats = Rounds(instance.database), Rounds(self._sibling.database)
        self._supervisor = threading.Thread(target=self._supervise, name="supervisor", daemon=True)
        self._teller = threading.Thread(target=self._tell_state, name="state", daemon=True)

    def run(self) -> None:
        """Until ``leave`` is called and what runs has ended.

        Raises:
            StorageUnavailableError: the database does not answer at the start.
        """
        self._queues.join(self.me, self._listens, self._slots, self._body())
        self._instance.wait_at_most(PATIENCE_S)
        self._supervisor.start()
        self._teller.start()
        self._source.attend(self._wake)
        pause_s = IDLE_S
        while not self._is_leaving:
            happened = self._turn(takes=True)
            pause_s = BUSY_S if happened else min(pause_s * 1.5, IDLE_S)
            self._pause(pause_s)
        self._leave()

    def leave(self) -> None:
        """Have ``run`` end; may be called from a signal handler."""
        if not self._is_leaving:
            self._leave_by = self._left_by()
        self._is_leaving = True
        self._wake()

    def _left_by(self) -> float:
        return time.monotonic() + LEAVE_S + (self._grace_s if self._steps else 0.0)

    def state(self) -> dict[str, Any]:
        """How this worker is: in its rows, in the local file."""
        goes_on = "leaving" if self._is_leaving else "takes steps"
        return {
            "pid": self.me.pid,
            **self._body(),
            "queues": self._listens,
            "slots": self._slots,
            "used": self._used(),
            "pods": 0 if self._pods is None else len(self._pods),
            "loops": {
                "steps": {"state": "hangs" if self._turns.hang else goes_on},
                "beats": {"state": "hangs" if self._beats.hang else "beats"},
            },
            "step_queues": [asdict(one) for one in self._figures],
            "refused": dict(self._source.refused),
            "answers": dict(self._answers),
        }

    # The main thread -----------------------------------------------------------------------------------------------------------

    def _turn(self, *, takes: bool) -> bool:
        """Once round; whether anything happened."""
        self._turns.begin_one()
        happened = self._reap()
        try:
            happened = self._writes.write_all() or happened
            self._tell_ends()
            if takes:
                self._adopt()
            while takes and not self._is_leaving and self._used() < self._slots and self._take_one():
                happened = True
        except StorageUnavailableError:
            # Said by the instance. What has ended is told, and what was pointed at is asked for, when it is back.
            self._was_away = True
            self._pause(IDLE_S)
        return happened

    def _wake(self) -> None:
        """End a pause. A queue, as its ``put`` may come from any thread and from a signal handler."""
        self._woken.put(None)

    def _pause(self, seconds: float) -> None:
        with suppress(Empty):
            self._woken.get(timeout=seconds)
            while True:
                self._woken.get_nowait()

    def _used(self) -> int:
        return len(self._steps) + (0 if self._pods is None else len(self._pods))

    def _adopt(self) -> None:
        """Watch the pods of workers that are gone, before anything new is taken. After this worker was out of touch: let go of those that another
        one has adopted, and watch those whose taking was not answered."""
        if time.monotonic() < self._adopt_at:
            return
        self._adopt_at = time.monotonic() + min(ADOPT_S, self._instance.lease_ttl_s / 6)
        was_away, self._was_away = self._was_away, False
        found = self._queues.adopt(self._listens, self.me.worker_id, secrets.token_hex(8), mine_too=was_away)
        mine = {(one.run_id, one.ref): one for one in found}
        if was_away and self._pods is not None:
            for key in self._pods.keys() - mine.keys():
                self._pods.drop(key)
                self._shown.pop(key, None)
        for key, one in mine.items():
            if key in self._ended or (self._pods is not None and key in self._pods):
                continue
            self._answers["adopted"] += 1
            try:
                self._hold(key, one.body, may_create=not one.was_claimed, waited_s=one.taken_s)
            except RunplaneError as e:
                # It may run: this says nothing about it. Another worker may be able to watch it.
                self._say(f"The pod of step {one.ref.step} of run {one.run_id} can not be watched from here: {e}")
                self._queues.hand_back(one.run_id, one.ref, self.me.worker_id)
                self._adopt_at = time.monotonic() + CAN_NOT_ADOPT_S

    def _take_one(self) -> bool:
        parked = next((p for p in self._parked.values() if p.again_at <= time.monotonic()), None)
        if parked is None:
            pointed = self._source.next([q for q in self._listens if q not in self._parked])
            if pointed is None:
                return False
            # Kept before it is asked for: a reply that is lost is asked for again with the same token.
            parked = self._parked[pointed.queue] = _Parked(pointed, secrets.token_hex(8), 0.0)
        pointed = parked.pointed
        parked.again_at = time.monotonic() + FULL_AGAIN_S
        answer = self._queues.take(pointed.run_id, pointed.ref, pointed.queue, self.me.worker_id, parked.token)
        if isinstance(answer, NotTaken):
            if answer.why == "full":
                parked.priority = answer.priority
                return True
            self._answers[answer.why] += 1
            if answer.why == "other_level":
                self._source.give_back(pointed, answer.priority)
                self._say_left(answer.detail)
        else:
            self._answers["taken"] += 1
            self._start(pointed, answer.body)
        del self._parked[pointed.queue]
        return True

    def _say_left(self, level: str) -> None:
        if level not in self._levels_left:
            self._levels_left.add(level)
            self._say(f"Runs at protocol {level} are left to workers of that version: this one serves {LEVEL}.")

    def _start(self, pointed: Pointed, body: Mapping[str, Any]) -> None:
        key = (pointed.run_id, pointed.ref)
        if body["kind"] == POD:
            try:
                self._hold(key, body, may_create=True)
                self._source.began(pointed, self.me.pid)
                self._shown[key] = pointed
            except RunplaneError as e:
                self._say(f"The pod of step {pointed.ref.step} of run {pointed.run_id} can not be made from here: {e}")
                text = f"worker {self._name} on {self.me.host} can not make its pod: {e}"
                self._ended[key] = {"refused": True, "text": text}
            return
        try:
            with self._lock:
                self._steps[key] = started = start_step(*key, body, self._instance.ref, self._templates)
                self._source.began(pointed, started.process.pid or self.me.pid)
                self._shown[key] = pointed
        except (RunplaneError, OSError) as e:
            self._say(f"Step {pointed.ref.step} of run {pointed.run_id} could not be started: {e}")
            self._ended[key] = not_started(e)

    def _hold(self, key: Key, body: Mapping[str, Any], *, may_create: bool, waited_s: float = 0.0) -> None:
        if self._pods is None:
            self._pods = self._make_pods(UnreadPods(self._instance.journal, self._queues, self.me.worker_id).wants)
        self._pods.hold(key, body, may_create=may_create, waited_s=waited_s)

    def _reap(self) -> bool:
        """Take exit codes and what is told of pods, end what is to end. Whether anything has ended."""
        with self._lock:
            to_end, self._to_end = self._to_end, {}
        for key, held in to_end.items():
            step = self._steps.get(key)
            if step is not None:
                step.process.end(held.grace_s)
            elif self._pods is not None and key in self._pods:
                self._pods.end(key, held.grace_s)
            elif key not in self._ended and not held.is_apart:
                self._ended[key] = {"text": "its worker has no process for it"}
        looked = [(key, step, step.evidence()) for key, step in self._steps.items()]
        ended = [(key, step, evidence) for key, step, evidence in looked if evidence is not None]
        for key, step, evidence in ended:
            if step.is_run and self._is_leaving:
                self._given_back.append(key)
            else:
                self._ended[key] = evidence
            self._source.ended(self._shown.pop(key), None if evidence.get("code") == 0 else str(evidence["text"]))
            with self._lock:
                del self._steps[key]
        for step in self._steps.values():
            step.process.kill_overdue()
        self._templates.tidy()
        return self._reap_pods() or bool(ended)

    def _reap_pods(self) -> bool:
        if self._pods is None:
            return False
        self._pods.end_overdue()
        told = self._pods.told()
        self._ended.update(told.ended)
        for key, evidence in told.ended.items():
            if key in self._shown:
                self._source.ended(self._shown.pop(key), str(evidence["text"]) if "refused" in evidence else None)
        for run_id, events in told.notes.items():
            self._notes.setdefault(run_id, []).extend(events)
        return bool(told.ended)

    def _tell_ends(self) -> None:
        # What is noted of a pod first: a run's end waits for pods that failed to be told of.
        for run_id, events in list(self._notes.items()):
            with suppress(NotFoundError):  # the run was deleted
                self._instance.journal.annotate(run_id, events)
            del self._notes[run_id]
        for (run_id, ref), evidence in list(self._ended.items()):
            self._queues.end(run_id, ref, self.me.worker_id, evidence)
            del self._ended[run_id, ref]
        while self._given_back:
            self._queues.give_back(*self._given_back[0], self.me.worker_id)
            del self._given_back[0]

    def _leave(self) -> None:
        """Take nothing any more; what runs may end within the grace period, and is run again elsewhere if it does not. A run is handed on at
        once: another worker goes on with it, and its steps in other workers do not notice. Pods go on: who adopts them does so when this
        worker's row is gone. What waits for a slot of a full queue is told to other workers now; else its run would say it again after a while."""
        for parked in self._parked.values():
            if parked.priority is not None:
                self._source.give_back(parked.pointed, parked.priority)
        if self._pods is not None:
            self._say(f"Leaving: {len(self._pods)} pods are handed over.")
            self._reap_pods()
            self._pods.close()
        if self._steps:
            # One may have begun since it was told.
            self._leave_by = self._left_by()
            self._say(f"Leaving: {len(self._steps)} steps and runs have {self._grace_s:g} s to end.")
        for step in self._steps.values():
            if step.is_run:
                step.process.end(self._grace_s)
        deadline = time.monotonic() + self._grace_s
        while self._steps:
            self._turn(takes=False)
            if time.monotonic() >= deadline:
                for step in self._steps.values():
                    step.left = True
                    step.process.end(0.0)
            self._pause(BUSY_S)
        self._templates.close()
        self._done.set()
        self._supervisor.join(PATIENCE_S + BEAT_S)
        try:
            self._tell_ends()
            self._queues.leave(self.me.worker_id)
        except StorageUnavailableError as e:
            self._say(f"{e.message} The row of this worker stays.")
        self._source.close()
        self._has_left.set()
        self._teller.join()

    # The other threads ---------------------------------------------------------------------------------------------------------

    def _tell_state(self) -> None:
        while not self._has_left.is_set():
            self._tell(self.state())
            if time.monotonic() > self._leave_by:
                self._say(
                    "The database or the broker is silent: this worker leaves without a word to them. Others take over what it held."
                )
                os._exit(0)
            self._has_left.wait(self._beat_s)

    def _supervise(self) -> None:
        with self._sibling as instance:
            instance.wait_at_most(PATIENCE_S)
            queues = StepQueues(instance.database, ttl_s=self._instance.lease_ttl_s)
            figures_at = 0.0
            while not self._done.is_set():
                self._beats.begin_one()
                try:
                    slots = 0 if self._is_leaving else self._slots
                    held = queues.beat(self.me, self._listens, slots, self._body())
                    now = time.monotonic()
                    # Others may have thought that it is gone.
                    self._was_away = self._was_away or now - self._beaten_at > self._instance.lease_ttl_s / 2
                    self._beaten_at = now
                    if now >= figures_at:
                        self._figures, figures_at = queues.figures(), now + FIGURES_S
                except StorageUnavailableError:
                    held = []
                with self._lock:
                    self._to_end.update({(one.run_id, one.ref): one for one in held})
                self._done.wait(self._beat_s)

    def _body(self) -> dict[str, Any]:
        return {"name": self._name, "host": self.me.host, "version": __version__, "level": LEVEL, "since": self._since}
