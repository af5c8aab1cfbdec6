"""A small world around the engine: a storage that holds the tables of arcs, a shell that works as the driver does, attempts that
follow a script, and everything that may go differently drawn from one seed.

Two ways that the real shells have, too: *through the driver* (forked children, threads: their events are told to the engine first
and stored after, and they die with their coordinator), and *by themselves* (pods: they claim and store, the engine hears of it by
reading the log in order, and they outlive a coordinator).
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from engine_model import Act, Expected, Script, act_of, may_retry
from runplane.engine.arcs import ATTEMPT_ARCS, OPEN_ATTEMPT_STATES, AttemptState, StepState, run_target
from runplane.engine.commands import (
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
from runplane.engine.engine import Engine
from runplane.engine.inputs import gather_inputs
from runplane.engine.limits import Limits
from runplane.engine.planned_step import planned_steps
from runplane.engine.snapshot import PlanSnapshot, StoredOutput, template_key
from runplane.engine.step import Step
from runplane.events.causes import FailureCause
from runplane.events.kinds import EventKind
from runplane.events.status import RunStatus

Ref = tuple[str, int]
K = EventKind


class Wrong(AssertionError):
    """Something that may never happen has; the text names it and the seed tells how to see it again."""


@dataclass
class Setting:
    """What is run, and what happens to it."""

    plan: PlanSnapshot
    script: Script
    limits: Limits = field(default_factory=Limits)
    pools: dict[str, int] = field(default_factory=dict)
    retries_enabled: bool = True
    eager: bool = False
    through_driver: bool = True
    crashes: int = 0
    losses: int = 0
    intent: str | None = None
    expected: Expected | None = None
    """Given: each attempt is started with these inputs."""


class Store:
    """Events, attempts, slots, status, intent of one run. Refuses what storage refuses; raises where nobody may ever ask."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.log: list[Happened] = []
        self.rows: dict[Ref, AttemptState] = {}
        self.retry_numbers: dict[Ref, int] = {}
        self.slots: dict[Ref, tuple[str, ...]] = {}
        self.status = RunStatus.STARTED
        self.intent = "none"
        self.now = 1000.0

    def append(self, kind: EventKind, step: str | None, n: int | None, body: Any = None) -> None:
        self.log.append(Happened(kind.value, step, n, dict(body or {}), self.now))

    def issue(self, c: IssueStep, claim: bool) -> bool:
        ref = (c.step, c.n)
        if self.status is not RunStatus.STARTED or self.intent != "none":
            return False
        open_ones = [r for r, s in self.rows.items() if r[0] == c.step and s in OPEN_ATTEMPT_STATES]
        if open_ones:
            raise Wrong(f"issue of {ref} while {open_ones} is open: two running nonces")
        if any(r[0] == c.step and (r[1] >= c.n or r[1] == 0) for r in self.rows):
            raise Wrong(f"issue of {ref}, but there is {[r for r in self.rows if r[0] == c.step]}")
        if any(f.step == c.step and f.kind == K.STEP_SUCCESS for f in self.log):
            raise Wrong(f"issue of {ref} after its success")
        for pool in c.pools:
            if sum(pool in held for held in self.slots.values()) >= self.setting.pools[pool]:
                return False
        self.slots[ref] = c.pools
        self.rows[ref] = AttemptState.ISSUED
        self.retry_numbers[ref] = c.retry_number
        self.append(K.STEP_ISSUED, *ref)
        if claim:
            self.claim(ref)
        self._check_limits()
        return True

    def claim(self, ref: Ref) -> bool:
        if self.status is not RunStatus.STARTED or self.intent != "none" or self.rows[ref] is not AttemptState.ISSUED:
            return False
        self.rows[ref] = AttemptState.RUNNING
        self.append(K.STEP_WORKER_STARTED, *ref)
        return True

    def write(self, ref: Ref, events: Sequence[tuple[EventKind, Any]]) -> bool:
        """An attempt's own events; False when it has been sealed or has ended."""
        if self.rows.get(ref) is not AttemptState.RUNNING:
            return False
        for kind, body in events:
            self.append(kind, *ref, body)
            self.rows[ref] = ATTEMPT_ARCS[kind].target
        self._free(ref)
        return True

    def record(self, c: Record) -> None:
        arc = ATTEMPT_ARCS[c.kind]
        ref = (c.step, c.n or 0)
        if arc.sources:
            if self.rows.get(ref) not in arc.sources:
                raise Wrong(f"{c.kind} of {ref}, whose row is {self.rows.get(ref)}")
        else:
            self._check_made(c)
        self.rows[ref] = arc.target
        self.append(c.kind, c.step, c.n, c.body)
        self._free(ref)

    def _check_made(self, c: Record) -> None:
        """The end of a step that has no other: a skip of one that was never issued, an abandonment of one that does not run."""
        rows = {r: s for r, s in self.rows.items() if r[0] == c.step}
        final = any(f.step == c.step and f.kind in (K.STEP_SUCCESS, K.STEP_FAILURE) for f in self.log)
        if final or any(r[1] == 0 or s in OPEN_ATTEMPT_STATES or c.kind is K.STEP_SKIPPED for r, s in rows.items()):
            raise Wrong(f"{c.kind} of {c.step}, which has {rows}")

    def seal(self, c: SealStep) -> str:
        ref = (c.step, c.n)
        if self.rows[ref] not in OPEN_ATTEMPT_STATES:
            return str(self.rows[ref])
        self.rows[ref] = AttemptState.SEALED
        self.append(K.STEP_SEALED, *ref, {"cause": c.cause.value, "evidence": c.evidence})
        self._free(ref)
        return "accepted"

    def finish(self, c: FinishRun) -> bool:
        target = run_target(c.kind, self.status)
        if target is None or (c.kind is K.RUN_SUCCESS and self.intent != "none"):
            return False
        open_ones = [r for r, s in self.rows.items() if s in OPEN_ATTEMPT_STATES]
        if open_ones:
            raise Wrong(f"the run is to end while {open_ones} is open")
        self.status = target
        self.append(c.kind, None, None, c.body)
        return True

    def intend(self, intent: str) -> None:
        if self.status is RunStatus.STARTED and self.intent == "none":
            self.intent = intent
            self.status = RunStatus.CANCELING
            self.append(K.RUN_CANCELING, None, None, {"intent": intent})

    def outputs(self, steps: Sequence[str]) -> list[StoredOutput]:
        """Of successful attempts, in the order they were stored; what steps may start from early, of any."""
        good = {(f.step, f.n) for f in self.log if f.kind == K.STEP_SUCCESS}
        found = {
            (f.step, f.body["output"], f.body["mapping_key"]): StoredOutput(
                "r", f.step, f.body["output"], f.body["mapping_key"], None
            )
            for f in self.log
            if f.kind == K.STEP_OUTPUT and f.step is not None and f.step in steps
            if (f.step, f.n) in good or (self.setting.eager and f.body["mapping_key"] is None)
        }
        return list(found.values())

    def _free(self, ref: Ref) -> None:
        if self.rows[ref] not in OPEN_ATTEMPT_STATES:
            self.slots.pop(ref, None)

    def _check_limits(self) -> None:
        running = [self.setting.plan.step(r[0]).tags for r, s in self.rows.items() if s in OPEN_ATTEMPT_STATES]
        most = self.setting.limits.max_concurrent
        if most is not None and len(running) > most:
            raise Wrong(f"{len(running)} at once, at most {most} are allowed")
        for limit in self.setting.limits.tags:
            values = [t[limit.key] for t in running if limit.key in t and limit.value in (None, t[limit.key])]
            for group in {v: [x for x in values if x == v] for v in values}.values() if limit.per_value else [values]:
                if len(group) > limit.limit:
                    raise Wrong(f"{len(group)} at once against {limit}")


@dataclass
class Process:
    """The process of one attempt."""

    ref: Ref
    act: Act
    todo: deque[tuple[EventKind, Any]]
    claimed: bool
    alive: bool = True
    has_ended: bool = False
    """Its outcome is written, or on its way."""
    kill: FailureCause | None = None
    """It is to be stopped."""


class World:
    """Runs one setting to its end. Raises `Wrong` when anything goes wrong on the way."""

    def __init__(self, setting: Setting, rng: random.Random) -> None:
        self.setting = setting
        self.planned = {p.step.key: p for p in planned_steps(setting.plan)}
        self.rng = rng
        self.store = Store(setting)
        self.processes: dict[Ref, Process] = {}
        self.told_gone: set[Ref] = set()
        self.refused: set[Ref] = set()
        self.crashes = setting.crashes
        self.losses = dict.fromkeys([s.key for s in setting.plan.steps], 0)
        self.losses_left = setting.losses
        self.intent_at = rng.randrange(1, 25) if setting.intent else -1
        self.turns = 0
        self._begin()

    def run(self) -> Store:
        most = 400 + 300 * len(self.setting.plan.steps)
        while not self.store.status.is_final:
            self.turns += 1
            if self.turns > most:
                raise Wrong(f"no end after {self.turns} turns; {self._stuck()}")
            self._turn()
        return self.store

    # The coordinator ------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        s = self.setting
        self.engine = Engine(s.plan, s.limits, run_id="r", retries_enabled=s.retries_enabled, eager=s.eager)
        self.ops: deque[tuple[Callable[[], Any], Callable[[Any], None]]] = deque()
        self.acts: list[Command] = []
        self.timers: list[tuple[float, int, str]] = []
        self.inbox: deque[Stimulated | tuple[Ref, list[tuple[EventKind, Any]]]] = deque()
        self.tail = len(self.store.log)
        if self.store.log:
            self.engine.fold(self.store.log)
            self._take(self.engine.resume())
        else:
            self._take(self.engine.start())

    def _turn(self) -> None:
        """As the driver: store, act, listen. In between anything may happen elsewhere, or this coordinator may die."""
        self._elsewhere()
        while self.ops:
            batch = [self.ops.popleft() for _ in range(self.rng.randint(1, len(self.ops)))]
            before = len(self.store.log)
            results = [do() for do, _ in batch]
            if self._crash_here():
                return
            self._read_log(before)
            self.tail = len(self.store.log)
            for (_, then), result in zip(batch, results, strict=True):
                then(result)
            if self.store.intent != "none" and self.engine.intent == "none":
                self._stimulate(IntentSet(self.store.intent))
        if self.store.status.is_final or self._crash_here():
            return
        acts, self.acts = self.acts, []
        for act in acts:
            self._act(act)
        self._elsewhere()
        self._read_log(self.rng.randint(self.tail, len(self.store.log)))
        for _ in range(self.rng.randint(0, len(self.inbox))):
            self._hear(self.inbox.popleft())
        idle = not (self.ops or self.acts or self.inbox or self.tail < len(self.store.log))
        if self.timers and self.rng.random() < (0.9 if idle else 0.2):
            self._let_time_pass()

    def _crash_here(self) -> bool:
        if not self.crashes or self.rng.random() > 0.08:
            return False
        self.crashes -= 1
        if self.setting.through_driver:
            for process in self.processes.values():
                process.alive = False
        self.told_gone.clear()
        self._begin()
        return True

    def _stimulate(self, stimulus: Stimulated) -> None:
        self._take(self.engine.handle(stimulus))

    def _take(self, commands: Sequence[Command]) -> None:
        for c in commands:
            if isinstance(c, IssueStep):
                self.ops.append((partial(self.store.issue, c, self.setting.through_driver), partial(self._issued, c)))
            elif isinstance(c, Record):
                self.ops.append((partial(self.store.record, c), partial(self._confirm, c)))
            elif isinstance(c, SealStep):
                self.ops.append((partial(self.store.seal, c), partial(self._sealed, c)))
            elif isinstance(c, FinishRun):
                self.ops.append((partial(self.store.finish, c), lambda _: None))
            elif isinstance(c, WakeAt):
                heapq.heappush(self.timers, (c.at, len(self.timers), c.key))
            else:
                self.acts.append(c)

    def _fact(self, kind: EventKind, ref: Ref, body: Any = None) -> None:
        self._stimulate(Happened(kind.value, *ref, dict(body or {}), self.store.now))

    def _issued(self, c: IssueStep, accepted: bool) -> None:
        if not accepted:
            self._stimulate(PoolsFull(c.step, c.n, self.store.now + 1.0))
            return
        self._fact(K.STEP_ISSUED, (c.step, c.n))
        if self.setting.through_driver:
            self._fact(K.STEP_WORKER_STARTED, (c.step, c.n))

    def _confirm(self, c: Record, _: None) -> None:
        self._stimulate(Happened(c.kind, c.step, c.n, c.body, self.store.now))

    def _sealed(self, c: SealStep, result: str) -> None:
        if result == "sealed":
            raise Wrong(f"{c} was sealed before")
        if result == "accepted":
            self._fact(K.STEP_SEALED, (c.step, c.n), {"cause": c.cause.value, "evidence": c.evidence})

    def _hear(self, what: Any) -> None:
        if not isinstance(what, tuple):
            self._stimulate(what)
            return
        ref, events = what
        if self.processes[ref].kill is FailureCause.TIMED_OUT:
            events = [e for e in events if e[1].get("cause") != "CANCELED"]

        def stored(ok: bool) -> None:
            if not ok:
                raise Wrong(f"{[k.value for k, _ in events]} of {ref} were refused")

        self.ops.append((lambda: self.store.write(ref, events), stored))
        for kind, body in events:
            self._fact(kind, ref, body)

    def _read_log(self, upto: int) -> None:
        """By themselves: what attempts stored, in order. The coordinator's own events it knows from its commits."""
        if self.setting.through_driver:
            return
        own = (K.STEP_ISSUED, K.STEP_SEALED)
        while self.tail < upto:
            fact = self.store.log[self.tail]
            self.tail += 1
            if fact.step is not None and fact.kind not in own:
                self._stimulate(fact)

    def _act(self, c: Command) -> None:
        if isinstance(c, LaunchStep):
            self._launch(c)
            return
        assert isinstance(c, StopStep | ProbeStep)
        process = self.processes.get((c.step, c.n))
        if isinstance(c, StopStep) and process is not None and process.alive:
            process.kill = c.cause
        elif (c.step, c.n) not in self.refused and (process is None or not process.alive):
            self._report_gone((c.step, c.n), FailureCause.LOST)

    def _launch(self, c: LaunchStep) -> None:
        ref = (c.step, c.n)
        step = self.engine.steps[c.step]
        if step.stopping is not None:
            self._stimulate(Gone(*ref, step.stopping, "never started"))
            return
        if c.retry_number != self.store.retry_numbers[ref]:
            raise Wrong(f"{c} was issued with retry number {self.store.retry_numbers[ref]}")
        self._check_inputs(c.step)
        act = act_of(self.setting.script, c.step, c.retry_number)
        if act.how == "refuse":
            self.refused.add(ref)
            return
        self.processes[ref] = Process(ref, act, self._events_of(act, c), claimed=self.setting.through_driver)

    def _events_of(self, act: Act, c: LaunchStep) -> deque[tuple[EventKind, Any]]:
        todo: deque[tuple[EventKind, Any]] = deque()
        for name, key in act.makes:
            todo.append((K.STEP_OUTPUT, {"output": name, "mapping_key": key}))
        plan = self.setting.plan.step(c.step)
        if act.how == "ok":
            todo.append((K.STEP_SUCCESS, {}))
        elif act.how in ("fail", "ask"):
            cause = FailureCause.USER_RETRY if act.how == "ask" else FailureCause.USER_CODE
            again = may_retry(act, plan, c.retry_number, self.setting.retries_enabled)
            body = {"cause": cause.value, "seconds_to_wait": self.rng.choice([0.0, 3.0])}
            todo.append((K.STEP_UP_FOR_RETRY if again else K.STEP_FAILURE, body))
        return todo

    def _check_inputs(self, key: str) -> None:
        """What the engine hands over, what a step process finds by itself, and what the model says: all the same."""
        got = {
            name: [(o.step, o.output, o.mapping_key) for o in found]
            for name, found in self.engine.inputs_of(key).items()
        }
        if self.setting.expected is not None and got != self.setting.expected.inputs[key]:
            raise Wrong(f"inputs of {key}: {got}, expected {self.setting.expected.inputs[key]}")
        planned = self.planned[template_key(key)]
        found = gather_inputs(planned, key, self.store.outputs(planned.read_keys(key)), self.store.outputs)
        alone = {name: [(o.step, o.output, o.mapping_key) for o in values] for name, values in found.items()}
        if alone != got:
            raise Wrong(f"inputs of {key}: the engine says {got}, a step process {alone}")

    # Elsewhere ------------------------------------------------------------------------------------------------------------

    def _elsewhere(self) -> None:
        if self.turns >= self.intent_at > 0 and self.setting.intent:
            self.store.intend(self.setting.intent)
            self.intent_at = -1
            if self.rng.random() < 0.5:
                self.inbox.appendleft(IntentSet(self.setting.intent))
        for ref in sorted(self.refused - self.told_gone):
            if self.rng.random() < 0.4:
                self.told_gone.add(ref)
                self.inbox.append(LaunchRefused(*ref, "no such image"))
        for process in [p for p in self.processes.values() if p.alive]:
            if self.rng.random() < 0.6:
                self._live(process)
        for ref, process in self.processes.items():
            if not process.alive and ref not in self.told_gone and self.rng.random() < 0.7:
                if not process.has_ended or self.rng.random() < 0.3:
                    self._report_gone(ref, self._cause_of(process))
                self.told_gone.add(ref)

    def _report_gone(self, ref: Ref, cause: FailureCause) -> None:
        self.inbox.append(Gone(*ref, cause, "gone"))
        if self.rng.random() < 0.2:
            self.inbox.append(Gone(*ref, FailureCause.CRASHED, "gone, said again"))

    def _cause_of(self, process: Process) -> FailureCause:
        return process.kill or (FailureCause.CRASHED if process.act.how == "crash" else FailureCause.LOST)

    def _live(self, process: Process) -> None:
        if not process.claimed:
            process.claimed = True
            process.alive = self.store.claim(process.ref)
            return
        key = process.ref[0]
        if process.kill is not None and self.rng.random() < 0.6:
            if process.kill is FailureCause.CANCELED and not process.has_ended and self.rng.random() < 0.5:
                self._write(process, [(K.STEP_FAILURE, {"cause": "CANCELED"})])
                process.has_ended = True
            process.alive = False
        elif (
            self.losses_left
            and self.losses.setdefault(key, 0) < 5
            and not process.has_ended
            and self.rng.random() < 0.15
        ):
            self.losses[key] += 1
            self.losses_left -= 1
            process.act = Act("lost")
            process.alive = False
        elif process.todo:
            count = self.rng.randint(1, len(process.todo))
            self._write(process, [process.todo.popleft() for _ in range(count)])
            if not process.todo and process.act.how not in ("crash", "hang"):
                process.has_ended = True
        elif process.act.how != "hang":
            process.alive = False

    def _write(self, process: Process, events: list[tuple[EventKind, Any]]) -> None:
        if self.setting.through_driver:
            self.inbox.append((process.ref, events))
        elif not self.store.write(process.ref, events):
            process.alive = False

    def _let_time_pass(self) -> None:
        """To the next timer; but a step that does not hang is never late."""
        at, _, key = self.timers[0]
        step = self.engine.steps.get(key)
        if step is not None and step.due is not None and step.state is StepState.RUNNING and not self._hangs(step):
            heapq.heapreplace(self.timers, (at + 5.0, len(self.timers) + self.turns, key))
            return
        heapq.heappop(self.timers)
        self.store.now = max(self.store.now, at)
        self._stimulate(Woke(key, self.store.now))

    def _hangs(self, step: Step) -> bool:
        return act_of(self.setting.script, step.key, step.retries).how == "hang"

    def _stuck(self) -> str:
        left = [f"{k}: {s.story()} {s}" for k, s in self.engine.steps.items() if not s.is_final and not s.is_template]
        return "\n".join([f"intent {self.engine.intent}, status {self.store.status}", *left])
