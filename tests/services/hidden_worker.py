"""``celery worker start`` for suites that look for what was left running by a variable in its environment: only what the worker starts has it.

``python hidden_worker.py FILE WORDS...``: FILE holds variables for what is started, as JSON, read anew each time. Of the step that
``RUNPLANE_STEP_CRASH_AT`` names there, the first attempt dies at its point. The rest is the command's.
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

START_S = 60.0


class HiddenWorker:
    """A worker of the instance in `home`, when it has beaten.

    Args:
        folder: for its log and its file.
        words: further words for the command.

    Attributes:
        variables: the file with variables for what it starts.
    """

    def __init__(self, folder: Path, home: Path, words: Sequence[str] = ()) -> None:
        self.variables = folder / "variables.json"
        file, log = folder / "queue-worker.json", folder / "queue-worker.log"
        env = {**os.environ, "DAGSTER_HOME": str(home), "RUNPLANE_CELERY_WORKER_FILE": str(file)}
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

    def close(self) -> None:
        """End it; what it started is killed with it."""
        self.process.kill()
        self.process.wait()


class StartsAnew:
    """In place of templates: a forked process shows the environment of its template, and none that it was given."""

    def start(self, *_: Any) -> None:
        """None is forked."""


def with_variables(start_step: Callable[..., Any], file: Path) -> Callable[..., Any]:
    """The worker's way to start a process, with the variables of the file."""
    from runplane.testing.crashing import CRASH_AT_ENV, STEP_CRASH_ENV

    def start(run_id: str, ref: Any, body: Mapping[str, Any], instance: Any, _: Any) -> Any:
        variables = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        step, _, point = variables.get(STEP_CRASH_ENV, "").rpartition(":")
        dies = {CRASH_AT_ENV: point} if step and (step, 1) == (ref.step, ref.n) else {}
        # The kernel goes on showing the environment that this process was started with.
        os.environ.update({**variables, **dies})
        try:
            return start_step(run_id, ref, body, instance, StartsAnew())
        finally:
            os.environ.pop(CRASH_AT_ENV, None)

    return start


if __name__ == "__main__":
    from runplane.cli.main import main
    from runplane.workers import queue_steps, queue_worker

    vars(queue_worker)["start_step"] = with_variables(queue_steps.start_step, Path(sys.argv[1]))
    sys.argv = ["runplane", *sys.argv[2:]]
    main()
