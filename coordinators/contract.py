"""What a run coordinator is: it decides when a submitted run is launched."""

from __future__ import annotations

from typing import Protocol

from ..events.run import Run


class RunCoordinator(Protocol):
    """Takes a run that is stored and NOT_STARTED."""

    def submit(self, run: Run) -> Run:
        """Launch it, now or later; return it as it is then. Raises what the launcher raises when it launches now."""
