"""The run is executed where it is launched, before ``launch`` returns (Dagster's ``SyncInMemoryRunLauncher``)."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import UnsupportedError
from .contract import LaunchRequest, TerminateResult, WorkerHandle

KIND = "in_process"
RunHere = Callable[[str], None]


class InProcessRunLauncher:
    """Runs a run to its end in the launching process.

    Args:
        run_here: executes the run of this id; handed in by the entry point, since a launcher may not know the worker. None when
            the entry point has none.
    """

    def __init__(self, run_here: RunHere | None) -> None:
        self._run_here = run_here

    def launch(self, request: LaunchRequest) -> WorkerHandle:
        """See ``RunLauncher.launch``; returns when the run is over."""
        if self._run_here is None:
            raise UnsupportedError(
                "this process can not run runs by itself",
                where=f"run {request.run.run_id}",
                hint="Use `runplane job execute`, or another run_launcher.",
            )
        self._run_here(request.run.run_id)
        return WorkerHandle(KIND)

    def terminate(self, run_id: str, handle: WorkerHandle) -> TerminateResult:
        """By the time there is a handle, the run is over."""
        return TerminateResult.NOT_FOUND
