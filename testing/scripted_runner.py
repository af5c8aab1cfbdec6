"""A step runner that does what a script says: for tests of the driver, of plug-ins, and for docs.

It starts no process. Attempts that are not scripted succeed with one output called ``result``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..events.causes import FailureCause
from ..events.event import NewEvent
from ..events.kinds import EventKind
from ..executors.contract import RunnerNote, RunnerSignal, StepGone, StepOrder, StepRefused, StepWrote
from ..storage.contract import AttemptRef

Script = Callable[["ScriptedRunner", StepOrder], None]


class ScriptedRunner:
    """A ``StepRunner`` whose attempts write through the driver.

    Args:
        report: takes signals.
        scripts: by step key, what an attempt does when it is started; the function calls ``succeed``, ``fail``, ``retry``, ``die`` or
            nothing (the attempt runs until it is stopped).
    """

    def __init__(self, report: Callable[[RunnerSignal], None], scripts: Mapping[str, Script] | None = None) -> None:
        self.worker_id = "scripted"
        self.orders: list[StepOrder] = []
        self.stopped: list[AttemptRef] = []
        self.probed: list[AttemptRef] = []
        self.closed = False
        self._report = report
        self._scripts = dict(scripts or {})

    # StepRunner -------------------------------------------------------------------------------------------------------------

    def start(self, order: StepOrder) -> None:
        """Do what the step's script says."""
        self.orders.append(order)
        self._scripts.get(order.ref.step, ScriptedRunner.succeed)(self, order)

    def stop(self, ref: AttemptRef, grace_s: float, cause: FailureCause) -> None:
        """The attempt ends at once."""
        self.stopped.append(ref)
        self._report(StepGone(ref, cause, "stopped"))

    def probe(self, ref: AttemptRef) -> None:
        """What another coordinator's runner ran is gone; what this one was ordered to run is not."""
        self.probed.append(ref)
        if ref not in [order.ref for order in self.orders]:
            self._report(StepGone(ref, FailureCause.LOST, "it went with its coordinator"))

    def close(self) -> None:
        """Nothing is left."""
        self.closed = True

    def claim_body(self, ref: AttemptRef) -> Mapping[str, Any]:
        """Nothing is shown of a claim."""
        return {}

    # What a script may do -----------------------------------------------------------------------------------------------------

    def succeed(self, order: StepOrder, outputs: Sequence[tuple[str, str | None]] | None = None) -> None:
        """Produce these outputs (name and mapping key; default: each plain output of the step), then succeed."""
        made = outputs if outputs is not None else [(o.name, None) for o in order.step.outputs if not o.dynamic]
        events = [
            self._event(
                order, EventKind.STEP_OUTPUT, {"output": name, "mapping_key": key, "location": {"at": f"{order.ref}"}}
            )
            for name, key in made
        ]
        self.write(order, [*events, self._event(order, EventKind.STEP_SUCCESS, {"duration_ms": 0.0})])

    def fail(self, order: StepOrder, cause: FailureCause = FailureCause.USER_CODE) -> None:
        """Fail for good."""
        self.write(order, [self._event(order, EventKind.STEP_FAILURE, {"cause": cause.value})])

    def retry(self, order: StepOrder, delay_s: float = 0.0) -> None:
        """Ask to be run again."""
        body = {"cause": FailureCause.USER_RETRY.value, "seconds_to_wait": delay_s}
        self.write(order, [self._event(order, EventKind.STEP_UP_FOR_RETRY, body)])

    def die(self, order: StepOrder, cause: FailureCause = FailureCause.CRASHED) -> None:
        """End without an outcome."""
        self._report(StepGone(order.ref, cause, f"scripted: {cause}"))

    def refuse(self, order: StepOrder) -> None:
        """Could never be started."""
        self._report(StepRefused(order.ref, "scripted: refused"))

    def tell(self, order: StepOrder, events: Sequence[NewEvent]) -> None:
        """The runner itself tells something of the attempt."""
        self._report(RunnerNote(events, order.ref))

    def write(self, order: StepOrder, events: Sequence[NewEvent]) -> None:
        """Report events of the attempt."""
        self._report(StepWrote(order.ref, order.nonce or "", events))

    def _event(self, order: StepOrder, kind: EventKind, body: Mapping[str, Any]) -> NewEvent:
        return NewEvent(kind, order.ref.step, order.ref.n, body, time.time())
