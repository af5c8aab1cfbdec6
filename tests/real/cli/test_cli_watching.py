"""``run watch``, ``run resume``, ``run retry --follow``: a run that goes on, to its end."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runplane.events.event import NewEvent
from runplane.events.kinds import EventKind as K
from runplane.events.status import RunStatus
from runplane.instance.instance import Instance, RunRequest
from runplane.storage.liveness import this_process

SLOW = """
import pathlib, time
from runplane import in_process_executor, job, op

@op
def first():
    return 1

@op
def waits(n):
    pathlib.Path("waiting").touch()
    while not pathlib.Path("go").exists():
        time.sleep(0.02)
    if pathlib.Path("go").read_text() == "fail":
        raise ValueError("told to")

@job(executor_def=in_process_executor)
def slow():
    waits(first())
"""


@pytest.fixture
def slow(home: Path, as_process, tmp_path: Path) -> str:
    """A run whose second step waits for the file `go`."""
    file = tmp_path / "slow.py"
    file.write_text(SLOW)
    run_id = as_process("job", "launch", "-f", file).stdout.strip()
    until("the step waits", lambda: Path("waiting").exists())
    return run_id


def go(how: str) -> None:
    """Let the step go on: the file is there with its text, or not there."""
    Path("go-aside").write_text(how)
    Path("go-aside").rename("go")


def until(what: str, is_there: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not is_there():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def status(home: Path, run_id: str) -> RunStatus:
    with Instance.from_home(home) as instance:
        return instance.journal.head(run_id).status


def kill_worker(home: Path, run_id: str) -> None:
    with Instance.from_home(home) as instance:
        owner = instance.journal.head(run_id).owner
        assert owner is not None
        os.kill(owner.pid, signal.SIGKILL)
        until("the worker is gone", lambda: instance.worker_health(run_id).state.value == "GONE")


def watching(run_id: str, **options) -> subprocess.Popen[str]:
    words = [sys.executable, "-u", "-m", "runplane", "run", "watch", run_id]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


@pytest.mark.parametrize(("told", "code", "end"), [("ok", 0, "succeeded"), ("fail", 1, "failed")])
def test_a_run_is_watched_to_its_end(slow: str, told: str, code: int, end: str) -> None:
    watcher = watching(slow)
    assert watcher.stdout is not None
    lines = [watcher.stdout.readline() for _ in range(5)]
    go(told)

    out, _ = watcher.communicate(timeout=60)

    assert lines[0] == f"Run {slow[:8]} of slow\n"
    assert [line for line in lines if line.endswith("  waits  running\n")]
    assert watcher.returncode == code
    assert f"waits  {end} " in out
    assert f"of slow {end} in" in out


def test_a_run_that_is_over_is_told_at_once(slow: str, home: Path, runplane) -> None:
    Path("go").touch()
    until("it is over", lambda: status(home, slow).is_final)

    done = runplane("run", "watch", slow)

    assert done.exit_code == 0
    assert "of slow succeeded in" in done.stdout


def test_an_interrupt_ends_the_watcher_and_not_the_run(slow: str, home: Path) -> None:
    watcher = watching(slow)
    assert watcher.stdout is not None
    watcher.stdout.readline()
    watcher.send_signal(signal.SIGINT)
    _, err = watcher.communicate(timeout=60)

    assert watcher.returncode == 130
    assert "The run goes on." in err
    assert "Traceback" not in err
    assert status(home, slow) is RunStatus.STARTED
    Path("go").touch()


def test_on_a_terminal_the_steps_are_a_table(slow: str) -> None:
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "runplane", "run", "watch", slow]
    watcher = subprocess.Popen(words, stdout=theirs, stderr=theirs, stdin=theirs, env={**os.environ, "TERM": "xterm"})
    os.close(theirs)
    seen = ""
    while "1 running, 1 succeeded" not in seen:
        seen += os.read(ours, 65536).decode()
    Path("go").touch()
    try:
        while chunk := os.read(ours, 65536):
            seen += chunk.decode()
    except OSError:
        pass  # the other end is closed
    os.close(ours)

    seen = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen)
    assert watcher.wait() == 0
    assert re.search(r"step +status +attempt +waited +worked", seen)
    assert re.search(r"1 running, 1 succeeded", seen)
    assert "of slow" in seen
    assert "succeeded" in seen


def test_a_run_whose_worker_was_killed_is_resumed(slow: str, home: Path, runplane, as_process) -> None:
    kill_worker(home, slow)
    Path("go").touch()

    done = as_process("run", "resume", slow[:8], "--follow")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(slow)
    assert re.search(r"takes the run over: process \d+ on \S+ is gone", done.stderr)
    assert "waits  succeeded" in done.stdout
    with Instance.from_home(home) as instance:
        succeeded = [e.step for e in instance.journal.history(slow) if e.kind == K.STEP_SUCCESS]
    assert succeeded == ["first", "waits"], "what had succeeded did not run again"


def test_a_run_whose_worker_lives_is_not_resumed(slow: str, runplane) -> None:
    done = runplane("run", "resume", slow)

    assert done.exit_code == 2
    assert "the run has a worker: process" in done.stderr
    Path("go").touch()


def test_a_run_that_is_over_is_not_resumed(slow: str, home: Path, runplane) -> None:
    Path("go").touch()
    until("it is over", lambda: status(home, slow).is_final)

    done = runplane("run", "resume", slow)

    assert done.exit_code == 2
    assert "the run is SUCCESS" in done.stderr
    assert "run retry" in done.stderr


def test_a_run_is_resumed_as_often_as_it_may_be(slow: str, home: Path, runplane) -> None:
    (home / "dagster.yaml").write_text("run_monitoring: {enabled: true, max_resume_run_attempts: 0}\n")
    kill_worker(home, slow)

    done = runplane("run", "resume", slow)

    assert done.exit_code == 2
    assert "the run was resumed 0 times, as often as it may be" in done.stderr
    assert status(home, slow) is RunStatus.STARTED, "it is not failed by who only asks"


def test_of_a_worker_elsewhere_nothing_is_claimed(home: Path, tmp_path: Path, runplane, as_process) -> None:
    """The run's coordinator is on another host: the new worker waits for one whole lease."""
    file = tmp_path / "slow.py"
    file.write_text(SLOW)
    Path("go").touch()
    run_id = as_process("job", "launch", "-f", file, "--run-id", "6b1f0000-0000-4000-8000-000000000001").stdout.strip()
    until("it is over", lambda: status(home, run_id).is_final)
    with Instance.from_home(home) as instance:
        stored = instance.runs.get(run_id)
        plan = instance.journal.get_plan(stored.plan_id or "")
        other = instance.create(RunRequest("slow", stored.origin, plan)).run_id
        me = this_process()
        owner = type(me)("w", "elsewhere", me.boot_id, me.pid, me.pid_started)
        instance.journal.claim_run(other, owner, [], NewEvent(K.RUN_START, None, None, {}, time.time()))

    done = as_process("run", "resume", other, "--follow", RUNPLANE_LEASE_TTL="1")

    assert "can not be known from here" in done.stderr
    assert done.returncode == 0, done.stderr


def test_a_retry_is_followed_to_its_end(slow: str, home: Path, as_process) -> None:
    go("fail")
    until("it is over", lambda: status(home, slow).is_final)
    go("ok")

    done = as_process("run", "retry", slow, "--follow")
    again = as_process("run", "retry", slow, "--all", "--follow")

    assert (done.returncode, again.returncode) == (0, 0)
    assert "first  " not in done.stdout
    assert "first  succeeded" in again.stdout
