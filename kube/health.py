"""The one answer to "how is this Job, and why?". Launcher and executor both ask here; the rows are in ``causes``."""

from __future__ import annotations

from .causes import ROWS
from .observed import Observed
from .verdict import Health, Verdict


def judge(observed: Observed) -> Verdict:
    """What is to be thought of what was seen: the first row that fits.

    A pure function: the same observation gives the same verdict.
    """
    for row in ROWS:
        evidence = row.matches(observed)
        if evidence is not None:
            return Verdict(row.health, row.name, row.cause, evidence)
    return Verdict(Health.UNKNOWN, "nothing fits", None, "what was seen of the Job fits nothing that is known")
