"""One step as the engine sees it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import ConflictError
from ..events.causes import FailureCause
from .arcs import FINAL_STEP_STATES, STEP_TARGET, StepState, Stimulus
from .snapshot import StepPlan, StoredOutput


@dataclass(slots=True)
class Step:
    """A step of the run, or the template of mapped ones.

    Attributes:
        order: position among steps that are ready at the same time and have the same priority.
        open: sources that are not final yet.
        n: newest attempt's number, 0 before the first.
        retries: how often the user's retry policy or request was used.
        lost: how often an attempt was lost to something the user did not do.
        issuing: an Issue is on its way.
        counted: counts against the run's limits.
        outputs: what the newest attempt has produced.
        due: when a delay or time limit ends, storage's clock; None when there is none.
        stopping: why it is being stopped, while SEALING.
        told: states it went through with what led there.
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
    lost: int = 0
    issuing: bool = False
    counted: bool = False
    outputs: list[StoredOutput] = field(default_factory=list)
    due: float | None = None
    stopping: FailureCause | None = None
    instances: list[Step] | None = None
    told: list[str] = field(default_factory=list)

    @property
    def is_final(self) -> bool:
        """Whether nothing will happen to it any more."""
        return self.state in FINAL_STEP_STATES

    def move(self, stimulus: Stimulus) -> None:
        """Take the arc of the table.

        Raises:
            ConflictError: the table has no such arc; the text tells the story so far.
        """
        target = STEP_TARGET.get((self.state, stimulus))
        if target is None:
            raise ConflictError(
                f"'{stimulus.value}' makes no sense for a step that is {self.state}", where=f"step {self.key}", hint=self.story()
            )
        if target is not self.state:
            self.told.append(f"{stimulus.value} -> {target}")
            self.state = target

    def story(self) -> str:
        """What happened to this step so far, in one line."""
        return f"So far: attempt {self.n}: " + "; ".join([StepState.WAITING.value, *self.told[-12:]])

    def has_output(self, name: str) -> bool:
        """Whether the newest attempt produced this output at least once."""
        return any(o.output == name for o in self.outputs)
