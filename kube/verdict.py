"""What can be thought of a Job."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..events.causes import FailureCause


class Health(str, Enum):
    """Where an attempt stands in the cluster."""

    ALIVE = "alive"
    """Its code runs, or may run."""
    ENDING = "ending"
    """It was told to end, or has failed as far as the Job goes; a pod of it may still run code."""
    GONE = "gone"
    """Nothing of it runs, and nothing of it will."""
    NEVER = "never"
    """It can not start, and waiting does not help."""
    NOT_YET = "not yet"
    """It has not started; waiting may help."""
    UNKNOWN = "unknown"
    """The cluster does not tell. Nothing follows from it."""

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Verdict:
    """A verdict.

    Attributes:
        health: where the attempt stands.
        row: the row of ``docs/reference/causes.md`` that it comes from.
        cause: what an end by it is counted as; None where it is no end.
        evidence: what was seen, for a person.
    """

    health: Health
    row: str
    cause: FailureCause | None
    evidence: str
