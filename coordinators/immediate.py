"""A run is launched as soon as it is submitted (Dagster's ``DefaultRunCoordinator``)."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..events.causes import ErrorInfo, RunFailureReason
from ..events.event import NewEvent
from ..events.kinds import EventKind
from ..events.run import Run
from ..launchers.contract import WorkerHandle
from ..storage.journal import Journal
from ..storage.runs import Runs

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
            self._launch_failed(run, e)
            raise
        self._runs.put_handle(run.run_id, {"kind": handle.kind, "data": dict(handle.data)})
        return self._runs.get(run.run_id)

    def _launch_failed(self, run: Run, e: Exception) -> None:
        error = ErrorInfo(message=f"{type(e).__name__}: {e}\n", cls_name=type(e).__name__).to_body()
        note = NewEvent(
            EventKind.ENGINE_EVENT,
            None,
            None,
            {"message": "The run could not be launched.", "error": error, "reported": True},
            time.time(),
        )
        body = {
            "reason": RunFailureReason.UNKNOWN.value,
            "message": f"The run could not be launched: {e}",
            "error": error,
        }
        self._journal.move(run.run_id, NewEvent(EventKind.RUN_FAILURE, None, None, body, time.time()), before=[note])
