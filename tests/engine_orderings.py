"""Every order in which things can come, for plans of a few steps: a universe that can be copied, and a search through all of it.

At any moment the coordinator may do its next thing (store one operation, act on one command, read one event), any process may do
its own, somebody may cancel, an end may be seen, true or too early, and the coordinator may die. Universes that look the same are
gone into once.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

from engine_world import Ref, Setting, Store, Wrong
from runplane.engine.arcs import AttemptState
from runplane.engine.commands import (
    Command,
    FinishRun,
    Gone,
    Happened,
    IntentSet,
    IssueStep,
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
from runplane.engine.engine import Engine
from runplane.engine.snapshot import PlanSnapshot
from runplane.events.causes import FailureCause
from runplane.events.kinds import EventKind

K = EventKind
Choice = tuple[str, Ref | None]


@dataclass(frozen=True)
class May:
    """How often each kind of trouble may come.

    `fates`: the outcomes that attempts may have, by attempt number; beyond the last: the last. `early`: ends that are seen although
    the process goes on writing until its nonce is dead.
    """

    fates: tuple[tuple[str, ...], ...] = (("ok",),)
    deaths: int = 0
    early: int = 0
    cancels: int = 0
    takeovers: int = 0
    through_driver: bool = False


@dataclass
class Process:
    wrote: int = 0
    """How many of its outputs it has written."""
    claimed: bool = False
    alive: bool = True
    finished: bool = False
    told: bool = False
    stopped: bool = False


@dataclass
class Budget:
    deaths: int
    early: int
    cancels: int
    takeovers: int


class Universe:
    """One run with everything around it, at one moment."""

    def __init__(self, plan: PlanSnapshot, may: May, outputs: dict[str, tuple[tuple[str, str | None], ...]]) -> None:
        self.plan, self.may, self.outputs = plan, may, outputs
        self.store = Store(Setting(plan, {}))
        self.left = Budget(may.deaths, may.early, may.cancels, may.takeovers)
        self.processes: dict[Ref, Process] = {}
        self._begin()

    def _begin(self) -> None:
        self.engine = Engine(self.plan, run_id="r")
        self.ops: list[Command | tuple[Ref, EventKind, dict[str, object]]] = []
        self.acts: list[Command] = []
        self.timers: set[str] = set()
        self.tail = len(self.store.log)
        self.engine.fold(self.store.log)
        self._take(self.engine.resume())

    def copy(self) -> Universe:
        other = copy.copy(self)
        other.store = copy.copy(self.store)
        other.store.log, other.store.rows = list(self.store.log), dict(self.store.rows)
        other.store.slots, other.store.retry_numbers = dict(self.store.slots), dict(self.store.retry_numbers)
        other.left = copy.copy(self.left)
        other.processes = {ref: copy.copy(p) for ref, p in self.processes.items()}
        other.engine = copy_of_engine(self.engine)
        other.ops, other.acts, other.timers = list(self.ops), list(self.acts), set(self.timers)
        return other

    def looks(self) -> object:
        """Equal for universes from which the same can follow. What is read matters no more once nobody can take over."""
        unread = self.store.log if self.left.takeovers else self.store.log[self.tail :]
        steps = tuple(
            (
                k,
                s.state,
                s.n,
                s.retries,
                tuple(sorted(s.spent.items())),
                s.is_issuing,
                s.is_seal_asked,
                s.due is None,
                s.stopping,
                tuple(s.outputs),
            )
            for k, s in self.engine.steps.items()
        )
        return (
            tuple((f.kind, f.step, f.n) for f in unread),
            tuple(sorted((ref, state.value) for ref, state in self.store.rows.items())),
            ends_of(self.store),
            (
                self.store.status,
                self.store.intent,
                len(self.store.log) - self.tail,
                self.engine.intent,
                self.engine._finishing,
            ),
            steps,
            tuple(str(o) for o in self.ops),
            tuple(str(a) for a in self.acts),
            tuple(sorted(self.timers)),
            tuple(sorted((ref, str(p)) for ref, p in self.processes.items() if self._matters(ref, p))),
            str(self.left),
        )

    # What may happen next --------------------------------------------------------------------------------------------------

    def choices(self) -> list[Choice]:
        found: list[Choice] = []
        if self.ops:
            found.append(("store", None))
        if self.acts and not self.ops:
            found.append(("act", None))
        if self.tail < len(self.store.log) and not self.may.through_driver:
            found.append(("read", None))
        found += [("wake " + key, None) for key in sorted(self.timers)]
        for ref, process in self.processes.items():
            if self._matters(ref, process):
                found += [(what, ref) for what in self._of(ref, process)]
        if self.left.cancels and self.store.intent == "none":
            found.append(("cancel", None))
        if self.store.intent != "none" and self.engine.intent == "none":
            found.append(("hear of the cancel", None))
        if self.left.takeovers:
            found.append(("take over", None))
        return found

    def _matters(self, ref: Ref, process: Process) -> bool:
        """Whether the engine may still hear of it, or it may still write."""
        step = self.engine.steps.get(ref[0])
        return process.alive or (not process.told and (step is None or (step.n <= ref[1] and not step.is_final)))

    def _of(self, ref: Ref, process: Process) -> list[str]:
        found = []
        if process.alive and not process.claimed:
            found.append("claim")
        elif process.alive and not process.finished:
            outputs = self.outputs.get(ref[0], (("result", None),))
            if process.wrote < len(outputs):
                found.append("output")
            fates = self.may.fates[min(ref[1], len(self.may.fates)) - 1]
            found += [f for f in fates if f != "ok" or process.wrote == len(outputs)]
        if process.alive and (process.stopped or self.left.deaths):
            found.append("die")
        if not process.alive and not process.told:
            found.append("gone")
        if process.alive and not process.told and self.left.early and not self.may.through_driver:
            found.append("seen gone too early")
        return found

    def do(self, choice: Choice) -> None:
        what, ref = choice
        if what == "store":
            self._store(self.ops.pop(0))
        elif what == "act":
            self._act(self.acts.pop(0))
        elif what == "read":
            self._read(self.tail + 1)
        elif what.startswith("wake "):
            self.timers.discard(what[5:])
            self._tell(Woke(what[5:], self.store.now))
        elif what == "cancel":
            self.left.cancels -= 1
            self.store.intend("cancel")
        elif what == "hear of the cancel":
            self._tell(IntentSet(self.store.intent))
        elif what == "take over":
            self._take_over()
        elif ref is not None:
            self._live(what, ref, self.processes[ref])

    def _take_over(self) -> None:
        self.left.takeovers -= 1
        for process in self.processes.values():
            process.alive = process.alive and not self.may.through_driver
            process.told = not process.alive and process.finished
        self._begin()

    # Processes ---------------------------------------------------------------------------------------------------------------

    def _live(self, what: str, ref: Ref, process: Process) -> None:
        if what == "claim":
            process.claimed = True
            process.alive = self.store.claim(ref)
        elif what == "die":
            self.left.deaths -= not process.stopped
            process.alive = False
        elif what in ("gone", "seen gone too early"):
            self.left.early -= what != "gone"
            process.told = True
            self._tell(Gone(*ref, FailureCause.LOST, "gone"))
        elif what == "output":
            name, key = self.outputs.get(ref[0], (("result", None),))[process.wrote]
            process.wrote += 1
            self._write(ref, process, K.STEP_OUTPUT, {"output": name, "mapping_key": key})
        else:
            kind = {"ok": K.STEP_SUCCESS, "fail": K.STEP_FAILURE, "ask": K.STEP_UP_FOR_RETRY}[what]
            process.finished, process.alive = True, False
            self._write(ref, process, kind, {"cause": FailureCause.USER_CODE.value})

    def _write(self, ref: Ref, process: Process, kind: EventKind, body: dict[str, object]) -> None:
        if self.may.through_driver:
            self.ops.append((ref, kind, body))
            self._tell(Happened(kind, *ref, body, self.store.now))
        elif not self.store.write(ref, [(kind, body)]):
            process.alive, process.told = False, True  # fenced: it leaves

    # The coordinator -----------------------------------------------------------------------------------------------------------

    def _tell(self, stimulus: Stimulated) -> None:
        self._take(self.engine.handle(stimulus))

    def _take(self, commands: list[Command]) -> None:
        for c in commands:
            if isinstance(c, WakeAt):
                self.timers.add(c.key)
            elif isinstance(c, LaunchStep | StopStep | ProbeStep):
                self.acts.append(c)
            else:
                self.ops.append(c)

    def _store(self, op: Command | tuple[Ref, EventKind, dict[str, object]]) -> None:
        before = len(self.store.log)
        answer = self._apply(op)
        self._read(before)
        self.tail = len(self.store.log)
        for stimulus in answer:
            self._tell(stimulus)
        if self.store.intent != "none" and self.engine.intent == "none":
            self._tell(IntentSet(self.store.intent))

    def _apply(self, op: Command | tuple[Ref, EventKind, dict[str, object]]) -> list[Stimulated]:
        now = self.store.now
        if isinstance(op, tuple):
            ref, kind, body = op
            if not self.store.write(ref, [(kind, body)]):
                raise Wrong(f"{kind} of {ref} was refused")
        elif isinstance(op, IssueStep):
            if not self.store.issue(op, self.may.through_driver):
                return [PoolsFull(op.step, op.n, now)]
            facts = [K.STEP_ISSUED, K.STEP_WORKER_STARTED] if self.may.through_driver else [K.STEP_ISSUED]
            return [Happened(kind, op.step, op.n, {}, now) for kind in facts]
        elif isinstance(op, Record):
            self.store.record(op)
            return [Happened(op.kind, op.step, op.n, op.body, now)]
        elif isinstance(op, SealStep):
            if self.store.seal(op) == "accepted":
                body = {"cause": op.cause.value, "evidence": op.evidence}
                return [Happened(K.STEP_SEALED, op.step, op.n, body, now)]
        elif isinstance(op, FinishRun):
            self.store.finish(op)
        return []

    def _read(self, upto: int) -> None:
        while self.tail < upto:
            fact = self.store.log[self.tail]
            self.tail += 1
            own = fact.kind in (K.STEP_ISSUED, K.STEP_SEALED) or fact.step is None
            if not own and not self.may.through_driver:
                self._tell(fact)

    def _act(self, c: Command) -> None:
        assert isinstance(c, LaunchStep | StopStep | ProbeStep)
        ref = (c.step, c.n)
        process = self.processes.get(ref)
        if isinstance(c, LaunchStep):
            stopping = self.engine.steps[c.step].stopping
            if stopping is not None:
                self._tell(Gone(*ref, stopping, "never started"))
            else:
                self.processes[ref] = Process(claimed=self.may.through_driver)
        elif process is None or not process.alive:
            self._tell(Gone(*ref, FailureCause.LOST, "not there"))
        elif isinstance(c, StopStep):
            process.stopped = True


def copy_of_engine(engine: Engine) -> Engine:
    """What `copy.deepcopy` makes, at a tenth of its time: most of a search is copying."""
    other = copy.copy(engine)
    other.steps = steps = {key: copy.copy(step) for key, step in engine.steps.items()}
    for step in steps.values():
        step.outputs = {name: dict(values) for name, values in step.outputs.items()}
        step.told = list(step.told)
        step.spent = dict(step.spent)
        step.awaited = None if step.awaited is None else list(step.awaited)
        step.instances = None if step.instances is None else [steps[s.key] for s in step.instances]
    other._dependants = {key: [steps[s.key] for s in found] for key, found in engine._dependants.items()}
    other._handlers = {kind: getattr(other, handler.__name__) for kind, handler in engine._handlers.items()}
    other._unconfirmed, other._full_pools = dict(engine._unconfirmed), dict(engine._full_pools)
    other._commands, other._failed = list(engine._commands), list(engine._failed)
    queue = other._queue = copy.copy(engine._queue)
    queue._steps = steps
    queue._occupancy = copy.copy(queue._occupancy)
    queue._occupancy._used = dict(queue._occupancy._used)
    queue._numbered = [copy.copy(group) for group in queue._numbered]
    for group in queue._numbered:
        group.waiting = list(group.waiting)
    queue._groups = {alike: queue._numbered[group.number] for alike, group in queue._groups.items()}
    queue._queues = {place: list(entries) for place, entries in queue._queues.items()}
    queue._gates = {pools: copy.copy(gate) for pools, gate in queue._gates.items()}
    queue._sharing = dict(queue._sharing)
    return other


@dataclass
class Found:
    """What a search came upon: how many universes, and every end (states of steps, status of the run) with a way to it."""

    universes: int = 0
    ends: dict[tuple[tuple[tuple[str, str], ...], str], list[Choice]] = field(default_factory=dict)


def search(first: Universe, check: Callable[[Universe], None] = lambda _: None) -> Found:
    """Go into everything that may happen. Raises `Wrong` with the way to what went wrong."""
    found = Found()
    seen: set[object] = set()
    left: list[tuple[Universe, list[Choice]]] = [(first, [])]
    while left:
        here, way = left.pop()
        looks = hash(here.looks())
        if looks in seen:
            continue
        seen.add(looks)
        found.universes += 1
        if here.store.status.is_final:
            found.ends.setdefault((ends_of(here.store), here.store.status.value), way)
            continue
        choices = here.choices()
        if not [c for c in choices if c[0] not in ("take over", "cancel")]:
            raise Wrong(f"nothing more can happen, and the run has not ended. {tell(way)}")
        for choice in choices:
            there = here.copy()
            try:
                there.do(choice)
                check(there)
            except Exception as error:
                raise Wrong(f"{type(error).__name__}: {error} {tell([*way, choice])}") from error
            left.append((there, [*way, choice]))
    return found


def ends_of(store: Store) -> tuple[tuple[str, str], ...]:
    """The one outcome of each step that has one, from the log."""
    kinds = {K.STEP_SUCCESS: "ok", K.STEP_FAILURE: "failed", K.STEP_SKIPPED: "skipped", K.STEP_ABANDONED: "abandoned"}
    ends: dict[str, str] = {}
    for fact in store.log:
        if fact.step is not None and fact.kind in kinds:
            if fact.step in ends:
                raise Wrong(f"two outcomes of {fact.step}: {ends[fact.step]} and {kinds[EventKind(fact.kind)]}")
            ends[fact.step] = kinds[EventKind(fact.kind)]
    return tuple(sorted(ends.items()))


def one_runs(universe: Universe) -> None:
    """Never two running nonces of one step, and never one after a success."""
    running = [step for (step, _), state in universe.store.rows.items() if state is AttemptState.RUNNING]
    if len(running) != len(set(running)):
        raise Wrong(f"two running nonces: {universe.store.rows}")
    ends_of(universe.store)


def tell(way: list[Choice]) -> str:
    return "The way there: " + ", ".join(what + (f" {ref[0]}#{ref[1]}" if ref else "") for what, ref in way)
