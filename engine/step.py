"""One step as the engine sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import ConflictError
from ..events.causes import FailureCause
from .arcs import FINAL_STEP_STATES, STEP_TARGET, StepState, Stimulus
from .snapshot import InputPlan, OutputRef, StepPlan, StoredOutput


@dataclass(slots=True)
class Step:
    """A step of the run, or the template of mapped ones.

    Attributes:
        order: position among steps that are ready at the same time and have the same priority.
        open: sources that are not final yet.
        n: newest attempt's number, 0 before the first.
        retries: how often the user's retry policy or request was used.
        spent: how often each cause that the user can not help has cost an attempt.
        is_issuing: an Issue is on its way.
        is_counted: counts against the run's limits.
        is_seal_asked: a Seal of the newest attempt is on its way.
        outputs: what the newest attempt has produced: output name -> mapping key (None when not dynamic) -> value.
        due: when the delay or time limit of the present state ends, storage's clock; None when there is none.
        stopping: why it is being stopped, while SEALING.
        sealed: while SEALING: the stored STEP_SEALED whose consequence is not stored, as far as is known.
        awaited: eager mode only: inputs and sources that may not exist yet, the next one last.
        told: how it came to where it is.
    """

    plan: StepPlan
    key: str
    order: tuple[int, int]
    mapping_key: str | None = None
    is_template: bool = False
    state: StepState = StepState.WAITING
    open: int = 0
    n: int = 0
    retries: int = 0
    spent: dict[FailureCause, int] = field(default_factory=dict)
    is_issuing: bool = False
    is_counted: bool = False
    is_seal_asked: bool = False
    outputs: dict[str, dict[str | None, StoredOutput]] = field(default_factory=dict)
    due: float | None = None
    stopping: FailureCause | None = None
    sealed: Mapping[str, Any] | None = None
    instances: list[Step] | None = None
    awaited: list[tuple[InputPlan, OutputRef]] | None = None
    told: list[tuple[Stimulus, StepState]] = field(default_factory=list)

    @property
    def is_final(self) -> bool:
        """Whether nothing will happen to it any more."""
        return self.state in FINAL_STEP_STATES

    @property
    def is_open(self) -> bool:
        """Whether its newest attempt may still write."""
        return not self.is_template and self.state in (StepState.ISSUED, StepState.RUNNING, StepState.SEALING)

    def move(self, stimulus: Stimulus) -> None:
        """Take the arc of the table. A time that was due belongs to the state that is left.

        Raises:
            ConflictError: the table has no such arc; the text tells the story so far.
        """
        target = STEP_TARGET.get((self.state, stimulus))
        if target is None:
            raise ConflictError(
                f"'{stimulus.value}' makes no sense for a step that is {self.state}",
                where=f"step {self.key}",
                hint=self.story(),
            )
        if target is not self.state:
            self.told.append((stimulus, target))
            self.state = target
            self.due = None

    def overrule(self, state: StepState) -> None:
        """The log says otherwise than what was derived: the log is right."""
        self.told.append((Stimulus.INTENT, state))
        self.state = state

    def story(self) -> str:
        """What happened to this step so far, in one line."""
        told = [f"{stimulus.value} -> {state}" for stimulus, state in self.told[-12:]]
        return f"So far: attempt {self.n}: " + "; ".join([StepState.WAITING.value, *told])

    def add_output(self, output: StoredOutput) -> None:
        """The newest attempt produced this."""
        self.outputs.setdefault(output.output, {})[output.mapping_key] = output

    def values(self, output: str) -> list[StoredOutput]:
        """What there is of an output, in the order it was produced."""
        return list(self.outputs.get(output, {}).values())
