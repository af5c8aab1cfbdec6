"""The tier A suite of run launchers: whoever submits a run may be killed at any point of it, and nobody is left with a run that can
neither be ended nor gone on with.

Inherit from ``TierALauncher``, give it the fixture ``place`` and say how many numbered points a submission has::

    class TestTierAOfMyLauncher(TierALauncher):
        job = "tier_a_in_process"
        launch_points = range(1, 9)

        @pytest.fixture()
        def place(self, tmp_path):
            return Place.in_sqlite(tmp_path, run_launcher={"module": "my_launcher", "class": "MyRunLauncher"})

The points are the database calls of the submitting process (``testing/crashing.py``): the plan, the run, its start, its handle, and a
death before and after each.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ..errors import NotFoundError
from ..events.kinds import EventKind
from ..events.status import RunStatus
from ..launchers.contract import Resumes
from ..launchers.dagster_contract import LaunchRunContext, RunLauncher
from ..storage.contract import RunFilter
from .crashing import CRASH_AT_ENV
from .tier_a import BODIES, WORKER_TIMEOUT_S, Place, Runs, check_events, check_no_success_ran_again

SUBMIT_POINTS = range(1, 9)
"""Of a launcher whose worker is a process of its own."""


class LauncherWrittenForDagster(RunLauncher):
    """What somebody may have written for Dagster: a detached process a run, whose id is kept in a file."""

    def __init__(self) -> None:
        self._workers: list[subprocess.Popen[bytes]] = []

    @property
    def supports_resume_run(self) -> bool:
        """Yes."""
        return True

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the worker."""
        worker = subprocess.Popen(
            context.command,
            env={**os.environ, **context.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._workers.append(worker)
        _pid_file(context.dagster_run.run_id).write_text(str(worker.pid))

    def resume_run(self, context: LaunchRunContext) -> None:
        """Start another one."""
        self.launch_run(context)

    def terminate(self, run_id: str) -> bool:
        """SIGTERM to the newest worker."""
        try:
            os.kill(int(_pid_file(run_id).read_text()), signal.SIGTERM)
        except (FileNotFoundError, ProcessLookupError):
            return False
        return True

    def dispose(self) -> None:
        """Take the exit codes of workers that have ended."""
        for worker in self._workers:
            worker.wait(WORKER_TIMEOUT_S)


def _pid_file(run_id: str) -> Path:
    return Path(os.environ["DAGSTER_HOME"], f"{run_id}.pid")


class TierALauncher:
    """The suite. See the module's docstring for what to give it."""

    job: str
    launch_points: Sequence[int] = SUBMIT_POINTS

    @pytest.fixture
    def runs(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
        """Runs of this place; this process may launch workers too."""
        for name, value in place.environment().items():
            monkeypatch.setenv(name, value)
        made = Runs(place, self.job)
        yield made
        for name, value in made.extra.items():
            monkeypatch.setenv(name, value)
        made.close()

    def test_a_submission_without_accident_runs_each_body_once(self, runs: Runs) -> None:
        run_id = _submitted(runs, self.job, 0)

        _comes_to_its_end(runs, run_id)

        assert runs.status(run_id) is RunStatus.SUCCESS
        assert _bodies_that_ended(runs, run_id) == {**BODIES, **{f"mapped[{i}]": 1 for i in range(3)}}

    def test_whoever_submits_is_killed_and_the_run_is_canceled(self, runs: Runs, launch_point: int) -> None:
        run_id = _submitted(runs, self.job, launch_point)
        if not _is_listed(runs, run_id):
            return

        runs.instance.cancel(run_id)

        _comes_to_its_end(runs, run_id)
        events = runs.events(run_id)
        canceled = any(e.kind == EventKind.RUN_CANCELING for e in events)
        assert runs.status(run_id) is (RunStatus.CANCELED if canceled else RunStatus.SUCCESS)
        check_events(events)

    def test_whoever_submits_is_killed_and_the_run_is_gone_on_with(self, runs: Runs, launch_point: int) -> None:
        run_id = _submitted(runs, self.job, launch_point)
        if not _is_listed(runs, run_id):
            return

        _go_on_with(runs, run_id)

        _comes_to_its_end(runs, run_id)
        events = runs.events(run_id)
        assert runs.status(run_id) is RunStatus.SUCCESS
        check_events(events)
        check_no_success_ran_again(events, runs.bodies(run_id))
        if isinstance(runs.instance.launcher, Resumes):
            # Only who submitted was killed: no step was lost, and no second worker has run any.
            assert _bodies_that_ended(runs, run_id) == {**BODIES, **{f"mapped[{i}]": 1 for i in range(3)}}


def _submitted(runs: Runs, job: str, point: int) -> str:
    """A run that a process of its own submitted; killed at that point, 0: not killed."""
    run_id = str(uuid.uuid4())
    env = runs.place.environment(**runs.extra, **({CRASH_AT_ENV: str(point)} if point else {}))
    done = subprocess.run(
        [sys.executable, "-m", f"{__package__}.tier_a_submit", job, run_id],
        check=False,
        env=env,
        cwd=runs.place.home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=WORKER_TIMEOUT_S,
    )
    assert done.returncode == (-signal.SIGKILL if point else 0), done.stderr.decode()
    return run_id


def _is_listed(runs: Runs, run_id: str) -> bool:
    """Whether the run is there at all, for every reader alike; if not, nothing of it runs."""
    listed = [run.run_id for run in runs.instance.runs.page(RunFilter()).runs]
    try:
        runs.instance.runs.get(run_id)
    except NotFoundError:
        assert listed == []
        assert runs.left_running() == []
        return False
    assert listed == [run_id]
    return True


def _go_on_with(runs: Runs, run_id: str) -> None:
    """What a person, or a daemon, does with a run that seems to stand still: it need not know why."""
    status = runs.status(run_id)
    if status is RunStatus.NOT_STARTED:
        runs.instance.coordinator.submit(runs.instance.runs.get(run_id))
    elif isinstance(runs.instance.launcher, Resumes) and not status.is_final:
        runs.instance.resume(run_id)
    elif not status.is_final:
        runs.worker(run_id)


def _comes_to_its_end(runs: Runs, run_id: str) -> None:
    runs.wait_for("the run's end", lambda: runs.status(run_id).is_final, WORKER_TIMEOUT_S)
    runs.wait_for("the end of all that was started", lambda: not runs.left_running(), WORKER_TIMEOUT_S)


def _bodies_that_ended(runs: Runs, run_id: str) -> dict[str, Any]:
    ended = [b["step"] for b in runs.bodies(run_id) if b["what"] == "end"]
    return {step: ended.count(step) for step in ended}
