"""Where a scenario of ``parity/scenarios`` comes to something else here than under Dagster, and why: scenario -> path -> difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Difference:
    """One difference.

    Attributes:
        dagster, runplane: what the path comes to there and here; ``absent`` where there is no such path.
        reason: why it is so.
    """

    dagster: Any
    runplane: Any
    reason: str


DIFFERENCES: dict[str, dict[str, Difference]] = {}
