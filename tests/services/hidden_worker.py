"""``celery worker start`` for suites that look for what was left running: what the worker starts has variables that it has not itself.

``python hidden_worker.py FILE WORDS...``: FILE holds variables for what is started, as JSON, read anew each time. A run's process is found
by them. A step is forked (``hidden_step.py``), and shows the environment of its template: it is found by the session that it leads.
Of the step that ``RUNPLANE_STEP_CRASH_AT`` names there, the first attempt dies at its point. The rest is the command's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from services.hidden_step import SESSIONS_ENV, VARIABLES_ENV

START_S = 60.0
TESTS = Path(__file__).resolve().parents[1]


class HiddenWorker:
    """A worker of the instance in `home`, when it has beaten.

    Args:
        folder: for its log and its file.
        words: further words for the command.

    Attributes:
        variables: the file with variables for what it starts.
        sessions: the file that its steps note their sessions in.
    """

    def __init__(self, folder: Path, home: Path, words: Sequence[str] = ()) -> None:
        self.variables = folder / "variables.json"
        self.sessions = folder / "sessions"
        self.sessions.touch()
        file, log = folder / "queue-worker.json", folder / "queue-worker.log"
        path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
        env = {**os.environ, "DAGSTER_HOME": str(home), "RUNPLANE_CELERY_WORKER_FILE": str(file), "PYTHONPATH": path}
        env |= {VARIABLES_ENV: str(self.variables), SESSIONS_ENV: str(self.sessions)}
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, __file__, str(self.variables), "celery", "worker", "start", *words],
                env={**env, "RUNPLANE_LEASE_TTL": "2"},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        end = time.monotonic() + START_S
        while not file.exists():
            assert self.process.poll() is None, log.read_text(encoding="utf-8")
            assert time.monotonic() < end, f"no word of the worker within {START_S} s"
            time.sleep(0.02)

    def give(self, variables: Mapping[str, str]) -> None:
        """What is started from now on has these."""
        beside = self.variables.with_suffix(".new")
        beside.write_text(json.dumps(dict(variables)), encoding="utf-8")
        beside.replace(self.variables)

    def steps_running(self) -> list[int]:
        """Process ids of its steps, and of whatever these have started in their sessions."""
        noted = {int(line) for line in self.sessions.read_text(encoding="utf-8").split()}
        return [pid for pid in psutil.pids() if _session_of(pid) in noted]

    def close(self) -> None:
        """End it; what it started is killed with it."""
        self.process.kill()
        self.process.wait()


def _session_of(pid: int) -> int | None:
    """None: it is gone, or waits to be reaped."""
    try:
        is_over = psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        return None if is_over else os.getsid(pid)
    except (psutil.NoSuchProcess, ProcessLookupError):
        return None


def with_variables(start_step: Callable[..., Any], file: Path) -> Callable[..., Any]:
    """The worker's way to start a process. The process of a run is given the variables of the file."""

    def start(run_id: str, ref: Any, body: Mapping[str, Any], instance: Any, templates: Any) -> Any:
        if body["kind"] not in ("execute_run", "resume_run"):
            return start_step(run_id, ref, body, instance, templates)
        before = dict(os.environ)
        os.environ.update(json.loads(file.read_text(encoding="utf-8")) if file.exists() else {})
        try:
            return start_step(run_id, ref, body, instance, templates)
        finally:
            os.environ.clear()
            os.environ.update(before)

    return start


if __name__ == "__main__":
    from runplane.cli.main import main
    from runplane.workers import queue_steps, queue_worker, step_templates

    vars(step_templates)["PROGRAM"] = "services.hidden_step"
    vars(queue_worker)["start_step"] = with_variables(queue_steps.start_step, Path(sys.argv[1]))
    sys.argv = ["runplane", *sys.argv[2:]]
    main()
