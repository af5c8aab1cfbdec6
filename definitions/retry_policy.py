"""How often, and when, a failed op is run again.

Source: https://docs.dagster.io/api/dagster/ops (RetryPolicy, Backoff, Jitter).
"""

from __future__ import annotations

import random
from enum import Enum

from ..engine.retries import next_delay, with_jitter
from ..engine.snapshot import RetryPlan
from ..serdes.record import frozen_record
from .errors import DagsterInvalidDefinitionError


class Backoff(Enum):
    """How the delay grows with the number of the retry."""

    LINEAR = "LINEAR"
    EXPONENTIAL = "EXPONENTIAL"


class Jitter(Enum):
    """How the delay is spread by chance."""

    FULL = "FULL"
    PLUS_MINUS = "PLUS_MINUS"


@frozen_record
class RetryPolicy:
    """Run a failed op again, up to `max_retries` times.

    Attributes:
        max_retries: how often at most.
        delay: seconds before a retry; None: at once.
        backoff: how the delay grows; None: it does not.
        jitter: how it is spread; None: not at all.

    Raises:
        DagsterInvalidDefinitionError: `backoff` or `jitter` without `delay`.
    """

    max_retries: int = 1
    delay: float | None = None
    backoff: Backoff | None = None
    jitter: Jitter | None = None

    def __post_init__(self) -> None:
        if self.delay is None and (self.backoff or self.jitter):
            name = "jitter" if self.jitter else "backoff"
            raise DagsterInvalidDefinitionError(f"Can not set {name} on RetryPolicy without also setting delay")

    def to_plan(self) -> RetryPlan:
        """The policy as data."""
        return RetryPlan(
            max_retries=self.max_retries,
            delay_s=float(self.delay or 0.0),
            backoff=self.backoff.value if self.backoff else None,
            jitter=self.jitter.value if self.jitter else None,
        )

    def calculate_delay(self, attempt_num: int) -> float:
        """Seconds to wait before retry number `attempt_num` (from 1), jitter drawn."""
        return draw_delay(self.to_plan(), attempt_num)


def draw_delay(plan: RetryPlan, retry: int) -> float:
    """Seconds to wait before retry number `retry` (from 1). Jitter is drawn here and nowhere else."""
    return with_jitter(plan, next_delay(plan, retry), random.random())
