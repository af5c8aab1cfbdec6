"""What every ``RunLauncher`` must do, each rule shown by a test with real workers on this machine.

A launcher's own test derives from ``RunLauncherContract`` and names its class, as a ``dagster.yaml`` would::

    class TestMine(RunLauncherContract):
        run_launcher = {"module": "nice_launcher", "class": "NiceRunLauncher", "config": {"niceness": 5}}

A launcher that runs a run before ``launch`` returns sets ``runs_inside_launch``. One that can ``check`` and reaches backends that may
not answer gives ``unreachable``: a handle of a worker that nobody can ask about.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ..events.kinds import EventKind
from ..events.origin import FileCodePointer, JobOrigin, RepositoryOrigin
from ..events.status import RunStatus
from ..instance.instance import Instance, RunRequest
from ..launchers.contract import ChecksHealth, HealthState, Resumes, TerminateResult, WorkerHandle

PATIENCE_S = 30.0
_JOBS = """
import os, time
from runplane import Definitions, in_process_executor, job, op

@op
def wait():
    while not os.path.exists({gate!r}):
        time.sleep(0.02)

@job(executor_def=in_process_executor)
def waiting():
    wait()
"""


class Place:
    """An instance with the launcher, and a job that waits for a file.

    Attributes:
        instance: the instance.
    """

    def __init__(self, folder: Path, run_launcher: Mapping[str, Any]) -> None:
        self._gate = folder / "gate"
        self._launched: list[str] = []
        self._file = folder / "waiting_job.py"
        self._file.write_text(_JOBS.format(gate=str(self._gate)), encoding="utf-8")
        self.instance = Instance.from_yaml(json.dumps({"run_launcher": run_launcher}), folder / "home")

    def open_gate(self) -> None:
        """Let the job's step end."""
        self._gate.touch()

    def launch(self) -> str:
        """Launch a run; its id."""
        origin = JobOrigin(
            "waiting",
            RepositoryOrigin(sys.executable, FileCodePointer(str(self._file), "waiting", str(self._file.parent))),
        )
        self._launched.append(self.instance.submit(RunRequest("waiting", origin)).run_id)
        return self._launched[-1]

    def status(self, run_id: str) -> RunStatus:
        return self.instance.runs.get(run_id).status

    def until(self, true: Callable[[], bool], what: str) -> None:
        """Wait for something that another process does."""
        end = time.monotonic() + PATIENCE_S
        while not true():
            assert time.monotonic() < end, f"not within {PATIENCE_S} s: {what}"
            time.sleep(0.02)

    def started(self, run_id: str) -> int:
        """Wait until the run's step runs; the worker's process id."""
        issued = EventKind.STEP_ISSUED.value
        self.until(lambda: any(e.kind == issued for e in self.instance.tail(run_id)), "the run's step is issued")
        owner = self.instance.journal.head(run_id).owner
        assert owner is not None
        return owner.pid

    def leave(self) -> None:
        """Wait until no worker is left, and close the instance."""
        self.until(lambda: all(self.gone(run_id) for run_id in self._launched), "the workers leave")
        self.instance.close()

    def handle(self, run_id: str) -> WorkerHandle:
        stored = self.instance.runs.handle(run_id)
        assert stored is not None, "the handle was not stored with the run"
        return WorkerHandle(stored["kind"], stored["data"])

    def gone(self, run_id: str) -> bool:
        """Whether the launcher says that the run's worker is gone; True for a launcher that can not tell."""
        launcher = self.instance.launcher
        return not isinstance(launcher, ChecksHealth) or (
            launcher.check(run_id, self.handle(run_id)).state is HealthState.GONE
        )


class RunLauncherContract:
    """The suite. Derive from it."""

    run_launcher: Mapping[str, Any]
    runs_inside_launch = False
    unreachable: WorkerHandle | None = None

    @pytest.fixture
    def place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
        (tmp_path / "home").mkdir()
        monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("RUNPLANE_LEASE_TTL", "2")
        made = Place(tmp_path, self.run_launcher)
        if self.runs_inside_launch:
            made.open_gate()
        yield made
        made.open_gate()
        made.leave()

    @pytest.fixture
    def apart(self) -> None:
        """For what a worker beside the launching process can do only."""
        if self.runs_inside_launch:
            pytest.skip("this launcher runs the run inside launch()")

    def test_a_launched_run_comes_to_its_end(self, place: Place) -> None:
        place.open_gate()
        run_id = place.launch()

        place.until(lambda: place.status(run_id).is_final, "the run ends")

        assert place.status(run_id) is RunStatus.SUCCESS

    def test_launch_returns_before_the_run_is_over(self, place: Place, apart: None) -> None:
        run_id = place.launch()

        assert not place.status(run_id).is_final

    def test_terminate_ends_the_worker_and_may_be_asked_again(self, place: Place, apart: None) -> None:
        run_id = place.launch()
        pid = place.started(run_id)
        launcher, handle = place.instance.launcher, place.handle(run_id)

        assert launcher.terminate(run_id, handle) is TerminateResult.DELIVERED
        place.until(lambda: place.gone(run_id) and not _lives(pid), "the worker that was told ends")

        for _ in range(2):
            assert launcher.terminate(run_id, handle) in (TerminateResult.NOT_FOUND, TerminateResult.DELIVERED)

    def test_the_end_of_a_run_that_is_over_is_not_found(self, place: Place) -> None:
        place.open_gate()
        run_id = place.launch()
        place.until(lambda: place.status(run_id).is_final and place.gone(run_id), "the worker leaves")

        assert place.instance.launcher.terminate(run_id, place.handle(run_id)) is not TerminateResult.UNKNOWN
        assert place.status(run_id) is RunStatus.SUCCESS

    def test_terminate_never_ends_another_worker(self, place: Place, apart: None) -> None:
        ended, living = place.launch(), place.launch()
        pid, other = place.started(ended), place.started(living)
        launcher = place.instance.launcher
        launcher.terminate(ended, place.handle(ended))
        place.until(lambda: place.gone(ended) and not _lives(pid), "the worker that was told ends")

        launcher.terminate(ended, place.handle(ended))
        assert _lives(other)
        place.open_gate()

        place.until(lambda: place.status(living).is_final, "the other run ends")
        assert place.status(living) is RunStatus.SUCCESS

    def test_check_tells_living_from_gone(self, place: Place, apart: None) -> None:
        launcher = place.instance.launcher
        if not isinstance(launcher, ChecksHealth):
            pytest.skip("this launcher can not tell")
        run_id = place.launch()
        pid = place.started(run_id)
        living = launcher.check(run_id, place.handle(run_id))

        os.kill(pid, signal.SIGKILL)
        place.until(lambda: place.gone(run_id), "the worker that was killed is seen to be gone")

        assert living.state is HealthState.ALIVE
        assert living.evidence
        assert launcher.check(run_id, place.handle(run_id)).evidence

    def test_what_can_not_be_asked_is_unknown_and_not_gone(self, place: Place) -> None:
        launcher, handle = place.instance.launcher, self.unreachable
        if handle is None or not isinstance(launcher, ChecksHealth):
            pytest.skip("no handle of a worker that can not be asked about was given")

        assert launcher.check("r", handle).state is HealthState.UNKNOWN
        assert launcher.terminate("r", handle) is TerminateResult.UNKNOWN

    def test_a_run_whose_worker_was_killed_is_resumed(self, place: Place, apart: None) -> None:
        if not isinstance(place.instance.launcher, Resumes):
            pytest.skip("this launcher can not resume")
        run_id = place.launch()
        os.kill(place.started(run_id), signal.SIGKILL)
        place.until(lambda: place.gone(run_id), "the worker that was killed is seen to be gone")

        place.open_gate()
        place.instance.resume(run_id)
        place.until(lambda: place.status(run_id).is_final, "the resumed run ends")

        assert place.status(run_id) is RunStatus.SUCCESS


def _lives(pid: int) -> bool:
    """Whether there is such a process and it is no zombie."""
    try:
        os.kill(pid, 0)
        text = Path(f"/proc/{pid}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False
    return text[text.rindex(")") + 2] not in "ZX"
