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


_WITH_ITS_CAUSE = Difference(
    ["DagsterError"],
    ["DagsterError", "from ValueError"],
    "the error that says that the retries are used up is raised from what the user's code raised last",
)

DIFFERENCES: dict[str, dict[str, Difference]] = {
    "retry_policy": {"raised/raised": _WITH_ITS_CAUSE},
    "retry_requested": {"raised/raised": _WITH_ITS_CAUSE},
}
