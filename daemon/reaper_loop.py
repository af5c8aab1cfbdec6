"""Cleans up after what is proven gone: rows of killed daemons, slots of runs that have ended, and runs whose worker's process is gone.

Runs are the monitor's where one is asked for (``monitor_loop.py``): it may start another worker. Where none is, the reaper ends them, so
that a killed worker does not keep its place in the queue and its slots for ever. It believes nothing but evidence, and waits a while: whoever
started the worker may start another one.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ..errors import StorageUnavailableError
from ..events.causes import FailureCause
from ..events.status import RunStatus
from ..instance.instance import Instance
from ..storage.contract import Head
from ..storage.daemons import Daemons
from ..storage.liveness import proven_gone
from ..storage.watching import WatchedRuns
from .contract import LoopContext, LoopReport
from .ending import end_lost_run

INTERVAL_S = 10.0
GONE_FOR_S = 60.0
"""How long a run's worker has to be known to be gone before the run is ended."""
SLOTS_AFTER_S = 60.0
"""An attempt's end frees its slots; a run that ended so long ago has none left, or something went wrong."""
FORGET_DAEMON_S = 86_400.0
"""The row of a daemon that was not heard of for so long is removed. (One that is alive all the same makes it anew.)"""


class ReaperLoop:
    """The reaper; see ``DaemonLoop``.

    Args:
        ends_runs: whether runs are its matter.
        gone_for_s: how long a worker has to be known to be gone.
    """

    name = "reaper"
    interval_s = INTERVAL_S
    budget_s = 60.0
    is_leased = True
    wakes = False

    def __init__(
        self, *, ends_runs: bool, gone_for_s: float = GONE_FOR_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ends_runs = ends_runs
        self._gone_for_s = gone_for_s
        self._clock = clock
        self._gone: dict[tuple[str, int], float] = {}
        self.interval_s = min(INTERVAL_S, gone_for_s)

    def run_once(self, context: LoopContext) -> LoopReport:
        """Look at what is there."""
        database = context.instance.database
        reap_daemons(Daemons(database))
        problems = []
        slots = WatchedRuns(database).free_slots_of_ended_runs(SLOTS_AFTER_S)
        if slots:
            problems.append(f"{slots} slots were held by runs that had ended; they are free now")
        done = self._end_runs(context, problems) if self._ends_runs else 0
        return LoopReport(done, tuple(problems))

    def close(self) -> None:
        """Nothing is held."""

    def _end_runs(self, context: LoopContext, problems: list[str]) -> int:
        done = 0
        found = {
            (head.run_id, head.epoch): (head, evidence)
            for head in WatchedRuns(context.instance.database).heads()
            if head.owner is not None and (evidence := proven_gone(head.owner)) is not None
        }
        now = self._clock()
        self._gone = {key: self._gone.get(key, now) for key in found}
        for key, (head, evidence) in found.items():
            if context.stopping():
                break
            if now - self._gone[key] < self._gone_for_s:
                continue
            try:
                done += _end(context, head, evidence)
            except StorageUnavailableError:
                raise
            except Exception as e:  # noqa: BLE001 - one run must not keep the others from being looked at
                problems.append(f"run {head.run_id}: {type(e).__name__}: {e}")
        return done


def _end(context: LoopContext, head: Head, evidence: str) -> bool:
    if head.status is RunStatus.CANCELING:
        message = f"The run was canceled; {evidence}."
        return end_lost_run(context, head, message, evidence, FailureCause.CANCELED)
    message = f"Detected that the run's worker is gone: {evidence}. Marking run {head.run_id} as failed."
    return end_lost_run(context, head, message, evidence, FailureCause.LOST)


def reap_daemons(daemons: Daemons) -> None:
    """Remove the rows of daemons that were killed."""
    for row in daemons.all():
        if row.age_s > FORGET_DAEMON_S or proven_gone(row.owner) is not None:
            daemons.forget(row.daemon_id)


def reaper_loop_of(instance: Instance) -> ReaperLoop:
    """The reaper as the instance's settings want it."""
    return ReaperLoop(ends_runs=not instance.settings.run_monitoring.enabled)
