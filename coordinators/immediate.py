"""A run is launched as soon as it is submitted (Dagster's ``DefaultRunCoordinator``)."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..events.event import NewEvent
from ..events.kinds import EventKind
from ..events.run import Run
from ..launchers.contract import WorkerHandle
from ..storage.journal import Journal
from ..storage.runs import Runs
from .failing import fail_launch

Launch = Callable[[Run], WorkerHandle]


class DefaultRunCoordinator:
    """Launches at once, in the caller's process.

    Args:
        journal, runs: where runs are stored.
        launch: starts the worker of a run that is STARTING; what it raises fails the run.
    """

    def __init__(self, journal: Journal, runs: Runs, launch: Launch) -> None:
        self._journal = journal
        self._runs = runs
        self._launch = launch

    def submit(self, run: Run) -> Run:
        """Launch a run that is NOT_STARTED; return it as it is then.

        Raises:
            ConflictError: it was submitted before.
        """
        message = "Starting the run."
        self._journal.move(run.run_id, NewEvent(EventKind.RUN_STARTING, None, None, {"message": message}, time.time()))
        try:
            handle = self._launch(run)
        except Exception as e:
            fail_launch(self._journal, run.run_id, e)
            raise
        self._runs.put_handle(run.run_id, {"kind": handle.kind, "data": dict(handle.data)})
        return self._runs.get(run.run_id)
