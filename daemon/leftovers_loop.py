"""Has the launcher end what its backend holds of runs that are over: the pods of steps whose run nobody went on with."""

from __future__ import annotations

from ..errors import RunplaneError
from ..instance.instance import Instance
from ..launchers.contract import CleansUp
from .contract import LoopContext, LoopReport

INTERVAL_S = 60.0


class LeftoversLoop:
    """The loop; see ``DaemonLoop``."""

    name = "leftovers"
    interval_s = INTERVAL_S
    budget_s = 300.0
    is_leased = True
    wakes = False

    def run_once(self, context: LoopContext) -> LoopReport:
        """Look once."""
        launcher = context.instance.launcher
        if not isinstance(launcher, CleansUp):
            return LoopReport()
        found = launcher.clean_up()
        return LoopReport(found.deleted, found.problems)

    def close(self) -> None:
        """Nothing is held."""


def leftovers_loop_of(instance: Instance) -> LeftoversLoop | None:
    """The loop, where the instance's launcher has that ability."""
    try:
        launcher = instance.launcher
    except RunplaneError:
        return None  # whoever needs the launcher says why it can not be built
    return LeftoversLoop() if isinstance(launcher, CleansUp) else None
