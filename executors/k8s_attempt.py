"""What the runner remembers of one attempt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..events.causes import FailureCause
from ..kube.observed import Observed
from ..storage.contract import AttemptRef
from .contract import StepOrder


@dataclass(frozen=True, slots=True)
class End:
    """Why an attempt is to end, decided before it has.

    Attributes:
        cause: what it is counted as.
        evidence: what was seen, or None: what is seen when it is gone.
        is_refusal: it could never have started.
    """

    cause: FailureCause
    evidence: str | None = None
    is_refusal: bool = False


@dataclass
class Attempt:
    """One attempt, from its order (or its adoption) to the moment when its end is told.

    Attributes:
        ref: which.
        job_name: its Job's.
        since: when it was ordered or adopted, on the runner's clock.
        manifest: the Job that is to be created.
        order: None for one that another coordinator started.
        start_timeout_s: how long it may take to start.
        job: the Job as it was created or found; None: not created yet, or not looked for.
        is_adopted: another coordinator created it.
        was_seen: the watch has shown its Job.
        may_be_there: a create had no answer: there may be a Job all the same.
        is_busy: a call about it is on its way.
        look_again: something has changed meanwhile.
        not_before: when the next try is due.
        pause_s: how long the last pause was.
        refusals: how often the role refused the create.
        confirmed: what consistent reads have just said.
        end: why it is to end, if it is.
        grace_s: seconds between asking its pods to end and killing them.
        deleted_at: when its Job was deleted last.
        held_s, held_since: for how long it was suspended, and since when it is: the start clock stands still.
        noted_at: when it was said last why it does not start.
        due: when it is looked at next without a reason.
        needs_owner: it is to be handed over to this coordinator's Job first.
        own_not_before: when that is tried next.
        lingers_until: it has ended well; its outcome may be on its way to the driver.
    """

    ref: AttemptRef
    job_name: str
    since: float
    order: StepOrder | None = None
    start_timeout_s: float | None = None
    manifest: Mapping[str, Any] | None = None
    job: Mapping[str, Any] | None = None
    is_adopted: bool = False
    was_seen: bool = False
    may_be_there: bool = False
    is_busy: bool = False
    look_again: bool = False
    not_before: float = 0.0
    pause_s: float = 0.0
    refusals: int = 0
    confirmed: Observed | None = field(default=None, repr=False)
    end: End | None = None
    grace_s: float = 30.0
    deleted_at: float | None = None
    held_s: float = 0.0
    held_since: float | None = None
    noted_at: float | None = None
    due: float | None = None
    needs_owner: bool = False
    own_not_before: float = 0.0
    lingers_until: float | None = None

    @property
    def is_placed(self) -> bool:
        """Whether there is nothing to create any more."""
        return self.job is not None or self.is_adopted

    def waited_s(self, now: float) -> float:
        """For how long it has waited to start, time in suspension left out."""
        held = self.held_s + (now - self.held_since if self.held_since is not None else 0.0)
        return now - self.since - held
