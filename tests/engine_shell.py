"""A shell that answers the engine at once, so that a test reads as what happened: for tests of single behaviours.

What the engine asks to be recorded is stored and confirmed right away; everything else waits for the test to say it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runplane.engine.arcs import StepState
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
from runplane.engine.limits import Limits
from runplane.engine.snapshot import PlanSnapshot
from runplane.events.causes import FailureCause
from runplane.events.kinds import EventKind


class Shell:
    """One engine and what it was told.

    Args:
        plan, limits, options: the engine's.
        confirms: confirm records at once; otherwise the test calls `confirm`.
    """

    def __init__(
        self,
        plan: PlanSnapshot,
        limits: Limits | None = None,
        *,
        confirms: bool = True,
        begin: bool = True,
        **options: Any,
    ) -> None:
        self.plan, self.limits, self.options = plan, limits, options
        self.engine = Engine(plan, limits, run_id="r", **options)
        self.confirms = confirms
        self.now = 1000.0
        self.log: list[Happened] = []
        self.commands: list[Command] = []
        """All so far."""
        self.last: list[Command] = []
        """The answer to the latest stimulus, confirmations included."""
        if begin:
            self._take(self.engine.start())

    # What a test says -----------------------------------------------------------------------------------------------------

    def happens(self, kind: EventKind, step: str | None, n: int | None = None, **body: Any) -> list[Command]:
        """A fact; attempt: the newest, unless said otherwise."""
        if step is not None and n is None:
            n = self.engine.steps[step].n
        return self._fact(Happened(kind, step, n, body, self.now))

    def issued(self, step: str) -> list[Command]:
        return self.happens(EventKind.STEP_ISSUED, step, self.engine.steps[step].n + 1)

    def claimed(self, step: str) -> list[Command]:
        return self.happens(EventKind.STEP_WORKER_STARTED, step)

    def runs(self, *steps: str) -> None:
        for step in steps:
            self.issued(step)
            self.claimed(step)

    def outputs(self, step: str, *outputs: str) -> None:
        """``result`` or ``many/key``."""
        for text in outputs:
            name, _, key = text.partition("/")
            self.happens(EventKind.STEP_OUTPUT, step, output=name, mapping_key=key or None)

    def succeeds(self, step: str, *outputs: str) -> list[Command]:
        """It runs if it does not yet, produces and succeeds; without `outputs`: its first one."""
        if self.state(step) is StepState.READY:
            self.runs(step)
        self.outputs(step, *(outputs or (self.engine.steps[step].plan.outputs[0].name,)))
        return self.happens(EventKind.STEP_SUCCESS, step)

    def succeeds_without(self, step: str) -> list[Command]:
        """It succeeds and produces nothing."""
        if self.state(step) is StepState.READY:
            self.runs(step)
        return self.happens(EventKind.STEP_SUCCESS, step)

    def fails(self, step: str) -> list[Command]:
        if self.state(step) is StepState.READY:
            self.runs(step)
        return self.happens(EventKind.STEP_FAILURE, step, cause=FailureCause.USER_CODE.value)

    def asks_again(self, step: str, wait: float = 0.0) -> list[Command]:
        if self.state(step) is StepState.READY:
            self.runs(step)
        return self.happens(
            EventKind.STEP_UP_FOR_RETRY, step, cause=FailureCause.USER_RETRY.value, seconds_to_wait=wait
        )

    def gone(self, step: str, cause: FailureCause = FailureCause.CRASHED, n: int | None = None) -> list[Command]:
        return self.tell(Gone(step, n or self.engine.steps[step].n, cause, "exit code 9"))

    def sealed(self, step: str) -> list[Command]:
        """The seal that the engine asked for is stored."""
        asked = [c for c in self.commands if isinstance(c, SealStep) and c.step == step][-1]
        return self.happens(EventKind.STEP_SEALED, step, asked.n, cause=asked.cause.value, evidence=asked.evidence)

    def dies(self, step: str, cause: FailureCause = FailureCause.CRASHED) -> list[Command]:
        self.gone(step, cause)
        return self.sealed(step)

    def refused(self, step: str) -> list[Command]:
        return self.tell(LaunchRefused(step, self.engine.steps[step].n, "no such image"))

    def pools_full(self, step: str, wait: float = 1.0) -> list[Command]:
        return self.tell(PoolsFull(step, self.engine.steps[step].n + 1, self.now + wait))

    def wakes(self, key: str, at: float | None = None) -> list[Command]:
        self.now = max(self.now, at or self.timers()[key])
        return self.tell(Woke(key, self.now))

    def ends(self, intent: str = "cancel") -> list[Command]:
        """The run is to end, and the engine hears of it."""
        self.log.append(Happened(EventKind.RUN_CANCELING, None, None, {"intent": intent}, self.now))
        return self.tell(IntentSet(intent))

    def confirm(self, record: Record) -> list[Command]:
        return self._fact(Happened(record.kind, record.step, record.n, record.body, self.now))

    def tell(self, stimulus: Stimulated) -> list[Command]:
        return self._take(self.engine.handle(stimulus))

    def taken_over(self, facts: Sequence[Happened] | None = None, *, confirms: bool = False) -> Shell:
        """Another coordinator, from the log (or another one) alone; records wait for the test by default."""
        other = Shell(self.plan, self.limits, confirms=confirms, begin=False, **self.options)
        other.log = list(self.log if facts is None else facts)
        other.now = self.now
        other.engine.fold(other.log)
        other._take(other.engine.resume())
        return other

    def folded(self) -> Shell:
        """Another coordinator that has read the log and was not asked yet what is to be done."""
        other = Shell(self.plan, self.limits, begin=False, **self.options)
        other.engine.fold(self.log)
        return other

    # What a test asks -----------------------------------------------------------------------------------------------------

    def state(self, step: str) -> StepState:
        return self.engine.steps[step].state

    def states(self) -> dict[str, str]:
        """Of all steps but templates."""
        return {k: s.state.value for k, s in self.engine.steps.items() if not s.is_template}

    def issues(self) -> list[str]:
        """Steps that the latest answer issues, in order."""
        return [c.step for c in self.last if isinstance(c, IssueStep)]

    def records(self) -> list[tuple[str, str]]:
        """What the latest answer asks to be recorded."""
        return [(c.kind.value, c.step) for c in self.last if isinstance(c, Record)]

    def launches(self) -> list[tuple[str, int]]:
        return [(c.step, c.n) for c in self.last if isinstance(c, LaunchStep)]

    def stops(self) -> list[tuple[str, str]]:
        return [(c.step, c.cause.value) for c in self.last if isinstance(c, StopStep)]

    def seals(self) -> list[tuple[str, int, str]]:
        return [(c.step, c.n, c.cause.value) for c in self.last if isinstance(c, SealStep)]

    def probes(self) -> list[tuple[str, int]]:
        return [(c.step, c.n) for c in self.last if isinstance(c, ProbeStep)]

    def timers(self) -> dict[str, float]:
        """Newest time asked for, by key."""
        return {c.key: c.at for c in self.commands if isinstance(c, WakeAt)}

    def end(self) -> FinishRun | None:
        """How the latest answer ends the run."""
        return next((c for c in self.last if isinstance(c, FinishRun)), None)

    def body_of(self, kind: EventKind) -> Mapping[str, Any]:
        """Body of the newest record of this kind."""
        return [c for c in self.commands if isinstance(c, Record) and c.kind is kind][-1].body

    # Inside ---------------------------------------------------------------------------------------------------------------

    def _fact(self, fact: Happened) -> list[Command]:
        self.log.append(fact)
        return self.tell(fact)

    def _take(self, commands: list[Command]) -> list[Command]:
        answer = list(commands)
        self.commands += commands
        if self.confirms:
            for record in [c for c in commands if isinstance(c, Record)]:
                answer += self.confirm(record)
        self.last = answer
        return answer
