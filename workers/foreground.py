"""A run's worker process while a person watches it: started, told to cancel, killed; it ends with the process that started it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

from ..errors import RunplaneError
from ..events.argv import PARENT_ENV, run_entry
from ..events.requests import ExecuteRunArgs
from ..events.run import Run
from ..events.wire import to_text
from ..instance.instance import Instance
from ..launchers.document import handed_over
from ..launchers.process import KIND
from ..storage.liveness import start_time, this_process

_PR_SET_PDEATHSIG = 1
_TAIL_BYTES = 4000


class ForegroundWorker:
    """``api execute_run`` of one run, in a session of its own: a Ctrl-C at the terminal reaches its starter only.

    Args:
        instance: where the run is stored. run: the run, NOT_STARTED.

    Raises:
        RunplaneError: the process can not be started.
    """

    def __init__(self, instance: Instance, run: Run) -> None:
        if run.origin is None:
            raise RunplaneError(
                "the run has no origin, so no other process can find its code", where=f"run {run.run_id}"
            )
        args = ExecuteRunArgs(instance.ref, run.origin, run.run_id)
        self.log = instance.home / "storage" / "workers" / f"{run.run_id}.log"
        try:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open("ab") as out, handed_over(to_text(args)) as handed:
                self._process = subprocess.Popen(
                    run_entry(args),
                    env={**os.environ, **handed.env, PARENT_ENV: str(os.getpid())},
                    pass_fds=handed.descriptors,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    start_new_session=True,
                )
        except OSError as error:
            raise RunplaneError(f"the run's process can not be started: {error}", where=f"run {run.run_id}") from error
        me = this_process()
        data = {
            "host": me.host,
            "boot_id": me.boot_id,
            "pid": self._process.pid,
            "pid_started": start_time(self._process.pid) or 0,
            "log": str(self.log),
        }
        instance.runs.put_handle(run.run_id, {"kind": KIND, "data": data})

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.poll() is not None

    @property
    def exit_code(self) -> int | None:
        """Its exit code once it has ended; minus the signal's number for one that was killed."""
        return self._process.poll()

    def wait(self, timeout_s: float) -> bool:
        """Wait for the process' end; whether it came."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """End it at once, with what it started in its session. Its steps end with it."""
        if not self.has_ended:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def last_words(self) -> str:
        """The end of what the process itself printed (not its steps)."""
        return _end_of(self.log)


def end_with(parent: int) -> None:
    """Have this process told to cancel its run (SIGINT) when `parent` ends; leave at once when it has ended already.

    Linux only; elsewhere nothing happens. Source: https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html

    Raises:
        OSError: the kernel refuses.
    """
    if sys.platform != "linux":
        return
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGINT), 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    if os.getppid() != parent:
        raise KeyboardInterrupt


def _end_of(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        return file.read().decode(errors="replace").strip()
