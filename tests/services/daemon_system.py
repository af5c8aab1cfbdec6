"""A whole system with real daemons: runs wait in the queue, real workers run them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping

from runplane.instance.instance import DAEMON_TTL_ENV
from runplane.storage.contract import RunFilter
from services.system import System

TTL_S = 3.0
"""Of the daemons' leases."""


class DaemonSystem(System):
    """See ``System``. A daemon is a process of its own session, as workers are."""

    def daemon(self, *words: str, **env: str) -> subprocess.Popen[bytes]:
        """Start one more."""
        with (self.folder / "daemon.log").open("ab") as log:
            started = subprocess.Popen(
                [sys.executable, "-m", "runplane", "daemon", "run", *words],
                env=self.environment(**{DAEMON_TTL_ENV: str(TTL_S)}, **env),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._workers.append(started)
        return started

    def submit(self, job: str, tags: Mapping[str, str] | None = None) -> str:
        """Put a run of a job of the file into the queue; its id."""
        return self.instance.submit(self.request(job, tags)).run_id

    def group(self, run_id: str) -> list[str]:
        """The runs that repeat it."""
        return [r.run_id for r in self.instance.runs.page(RunFilter(root_run_id=run_id), limit=50).runs]

    def pid_of_worker(self, run_id: str) -> int | None:
        """The process that coordinates the run, or None."""
        owner = self.instance.journal.head(run_id).owner
        return owner.pid if owner is not None else None

    def signal_worker(self, run_id: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to the process that coordinates the run."""
        pid = self.pid_of_worker(run_id)
        assert pid is not None, "no worker has the run"
        os.kill(pid, number)

    def close(self) -> None:
        """Have daemons end first, so that they start nothing more."""
        for process in self._workers:
            if process.poll() is None:
                process.kill()
                process.wait()
        super().close()
