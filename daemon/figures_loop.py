"""Counts what is in the database, now and then, for metrics: who reads the metrics never waits for the database."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..storage.figures import Figures, read_figures
from .contract import LoopContext, LoopReport

INTERVAL_S = 10.0
OLD_S = 30.0
"""Figures of so long ago are not told any more: the database is away."""


class FiguresLoop:
    """The loop that counts; see ``DaemonLoop``. Every daemon that shows metrics has its own."""

    name = "figures"
    interval_s = INTERVAL_S
    budget_s = 60.0
    is_leased = False
    wakes = False

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._found: tuple[float, Figures] | None = None

    def run_once(self, context: LoopContext) -> LoopReport:
        """Look once."""
        figures = read_figures(context.instance.database, ttl_s=context.instance.lease_ttl_s)
        self._found = (self._clock(), figures)
        return LoopReport()

    @property
    def newest(self) -> Figures | None:
        """What was found last; None when that is too long ago."""
        found = self._found
        return found[1] if found is not None and self._clock() - found[0] < OLD_S else None

    def close(self) -> None:
        """Nothing is held."""
