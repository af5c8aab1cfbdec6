"""Real workers that are killed, or late, beside real daemons that are killed too: each run ends, and says why."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runplane.events.kinds import EventKind
from runplane.events.status import RunStatus
from scale import scaled
from services.daemon_system import DaemonSystem

RUNS = scaled(5, long=60)
PATIENCE_S = scaled(240, long=1800)
YAML = """
run_queue: {max_concurrent_runs: 3}
run_monitoring: {enabled: true, poll_interval_seconds: 1, start_timeout_seconds: 60, max_resume_run_attempts: RESUMES}
"""
CODE = """
import time
from runplane import in_process_executor, job, op

@op(pool="scarce")
def one(context):
    say(context, "start")
    time.sleep(0.4)
    return 1

@op
def two(context, number):
    say(context, "start")
    time.sleep(0.4)
    return number

@job(executor_def=in_process_executor)
def three_steps():
    two.alias("last")(two(one()))
"""


@pytest.fixture
def system(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[DaemonSystem]:
    made = DaemonSystem(tmp_path, CODE, YAML.replace("RESUMES", str(getattr(request, "param", 0))))
    yield made
    made.close()


@pytest.mark.timeout(PATIENCE_S + 60)
@pytest.mark.parametrize("system", [0, 3], indirect=True)
def test_workers_and_daemons_are_killed_at_random_and_each_run_ends_with_its_cause(
    system: DaemonSystem, request: pytest.FixtureRequest
) -> None:
    rng = random.Random(7)
    may_resume = request.node.callspec.params["system"] > 0
    runs = [system.submit("three_steps") for _ in range(RUNS)]
    daemon = system.daemon()
    to_kill = {run_id: rng.choice([0, 1, 1]) for run_id in runs}
    killed: dict[str, int] = dict.fromkeys(runs, 0)
    end = time.monotonic() + PATIENCE_S

    while unended := [r for r in runs if not system.status(r).is_final]:
        assert time.monotonic() < end, "\n".join(system.story(r) for r in unended)
        time.sleep(rng.uniform(0.1, 0.5))
        run_id = rng.choice(unended)
        pid = system.pid_of_worker(run_id)
        if system.status(run_id) is RunStatus.STARTED and pid is not None and killed[run_id] < to_kill[run_id]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed[run_id] += 1
            if rng.random() < 0.3:
                daemon.kill()
                daemon.wait()
                daemon = system.daemon()

    assert sum(killed.values()), "nothing was killed"
    for run_id in runs:
        status = system.status(run_id)
        if status is RunStatus.FAILURE:
            assert killed[run_id], system.story(run_id)
            assert not may_resume, "a run that may be resumed failed"
            failure = system.last(run_id, EventKind.RUN_FAILURE).body
            assert "Detected that the run's worker is gone" in failure["message"]
            assert failure["reason"] == "UNEXPECTED_TERMINATION"
        else:
            assert status is RunStatus.SUCCESS
        system.check(run_id)
    assert system.slots_held() == 0


def test_a_worker_that_comes_after_the_start_timeout_leaves_before_user_code(tmp_path: Path) -> None:
    yaml = YAML.replace("RESUMES", "0").replace("start_timeout_seconds: 60", "start_timeout_seconds: 1")
    launcher = "run_launcher: {module: never_launches, class: Never}\n"
    system = DaemonSystem(tmp_path, CODE, yaml + launcher, env={"PYTHONPATH": _path(tmp_path)})
    (tmp_path / "never_launches.py").write_text(NEVER, encoding="utf-8")
    try:
        run_id = system.submit("three_steps")
        system.daemon()
        system.wait_for_status(run_id, RunStatus.FAILURE, timeout_s=60)

        late = system.worker(run_id)

        assert late.wait(60) == 0, system.stderr(late)
        assert system.bodies(run_id) == []
        assert system.last(run_id, EventKind.RUN_FAILURE).body["reason"] == "START_TIMEOUT"
    finally:
        system.close()


NEVER = '''
from runplane.launchers.contract import TerminateResult, WorkerHandle

class Never:
    """Says that it launched, and does nothing."""

    def launch(self, request):
        return WorkerHandle("never", {})

    def terminate(self, run_id, handle):
        return TerminateResult.NOT_FOUND
'''


def _path(folder: Path) -> str:
    return os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
