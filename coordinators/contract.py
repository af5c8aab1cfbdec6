"""What a run coordinator is: it decides when a submitted run is launched."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from ..engine.snapshot import PlanSnapshot
from ..events.run import Run


class RunCoordinator(Protocol):
    """Takes a run that is stored and NOT_STARTED."""

    def submit(self, run: Run) -> Run:
        """Launch it, now or later; return it as it is then. Raises what the launcher raises when it launches now."""


@runtime_checkable
class StoresRuns(Protocol):
    """A coordinator that can store a run and take it in one transaction. It launches nothing in the caller's process."""

    def submit_new(self, run: Run, plan: PlanSnapshot | None) -> Run:
        """The same as ``submit``, with a run that is not stored yet.

        Args:
            plan: the run's plan, which is stored with it; None: its worker makes it.

        Raises:
            ConflictError: the run's id is another run's.
        """
