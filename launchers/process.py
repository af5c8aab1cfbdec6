"""The default launcher: a detached process per run, on this machine.

The process runs ``api execute_run``. It survives its parent; its document goes by an inherited descriptor, which ``ps`` does not show.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import UnsupportedError
from ..events.run import Run
from ..storage.contract import Owner
from ..storage.liveness import boot_id, proven_gone, start_time, this_process
from .contract import Health, HealthState, LaunchRequest, TerminateResult, WorkerHandle
from .document import handed_over

KIND = "process"


class DefaultRunLauncher:
    """Starts a process per run and forgets it; whether it lives is judged by its pid, its start time and the kernel's boot id.

    Args:
        log_folder: where each worker's own output goes (``<run id>.log``). What steps print is kept elsewhere, by step.
    """

    def __init__(self, log_folder: Path) -> None:
        self._log_folder = log_folder
        self._children: list[_Worker] = []
        self._lock = threading.Lock()

    def launch(self, request: LaunchRequest) -> WorkerHandle:
        """See ``RunLauncher.launch``."""
        return self._start(request, "execute_run")

    def resume(self, request: LaunchRequest) -> WorkerHandle:
        """See ``Resumes.resume``."""
        return self._start(request, "resume_run")

    def terminate(self, run_id: str, handle: WorkerHandle) -> TerminateResult:
        """SIGTERM, to that very process only."""
        state = self.check(run_id, handle).state
        if state is not HealthState.ALIVE:
            return TerminateResult.NOT_FOUND if state is HealthState.GONE else TerminateResult.UNKNOWN
        os.kill(handle.data["pid"], signal.SIGTERM)
        return TerminateResult.DELIVERED

    def check(self, run_id: str, handle: WorkerHandle) -> Health:
        """See ``ChecksHealth.check``."""
        self._reap()
        data = handle.data
        owner = Owner("", data["host"], data["boot_id"], data["pid"], data["pid_started"])
        evidence = proven_gone(owner)
        if evidence is not None:
            return Health(HealthState.GONE, evidence)
        if owner.host != this_process().host:
            return Health(HealthState.UNKNOWN, f"it runs on {owner.host}, which can not be asked from here")
        return Health(HealthState.ALIVE, f"process {owner.pid} lives")

    def _start(self, request: LaunchRequest, verb: str) -> WorkerHandle:
        self._reap()
        if sys.platform == "win32":
            raise UnsupportedError("runs are launched on Linux and macOS only")
        self._log_folder.mkdir(parents=True, exist_ok=True)
        log = self._log_folder / f"{request.run.run_id}.log"
        with log.open("ab") as out, handed_over(request.document) as handed:
            child = _Worker(
                [_python(request.run), "-m", "runplane", "api", verb],
                env={**os.environ, **request.env, **handed.env},
                pass_fds=handed.descriptors,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        with self._lock:
            self._children.append(child)
        return WorkerHandle(KIND, _handle(child.pid, log))

    def _reap(self) -> None:
        """Take the exit codes of ended workers, so that they do not stay as zombies while this process lives."""
        with self._lock:
            self._children = [child for child in self._children if child.poll() is None]


class _Worker(subprocess.Popen[bytes]):
    """A worker outlives whoever started it: to let go of a living one is no mistake to warn of, as Popen would."""

    def __del__(self) -> None:
        if self._child_created:  # type: ignore[attr-defined]  # else there is no process to take an exit code from
            self.poll()


def _python(run: Run) -> str:
    """The Python that has the run's code installed, where the origin names one that is here."""
    if run.origin is not None and os.access(run.origin.repository_origin.executable_path, os.X_OK):
        return run.origin.repository_origin.executable_path
    return sys.executable


def _handle(pid: int, log: Path) -> Mapping[str, Any]:
    return {
        "host": this_process().host,
        "boot_id": boot_id(),
        "pid": pid,
        "pid_started": start_time(pid) or 0,
        "log": str(log),
    }
