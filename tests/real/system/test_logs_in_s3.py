"""Runs whose logs are in a bucket, looked at from another machine: a second home with the same database and the same bucket."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from runplane.events.status import RunStatus
from services import s3
from services.system import System

CODE = """
import os, signal, sys, threading, time
from pathlib import Path
from runplane import RetryPolicy, in_process_executor, job, multiprocess_executor, op

def wait_for_the_sign():
    end = time.monotonic() + 60
    while not Path(os.environ["SIGN"]).exists() and time.monotonic() < end:
        time.sleep(0.05)

@op
def talks(context):
    print("first word", flush=True)
    say(context, "start", client="obstore" in sys.modules, threads=threading.active_count())
    wait_for_the_sign()
    print("last word", flush=True)

@op(retry_policy=RetryPolicy(max_retries=1))
def dies_once(context):
    print(f"attempt {context.attempt} speaks", flush=True)
    if context.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)

@job(executor_def=multiprocess_executor)
def talking():
    talks()

@job(executor_def=in_process_executor)
def talking_here():
    talks()

@job(executor_def=multiprocess_executor)
def dying():
    dies_once()
"""


class Machines:
    """A system whose logs are in the bucket, and a second home for readers."""

    def __init__(self, make_system: Callable[..., System], server: s3.S3Server, bucket: str, folder: Path) -> None:
        config = s3.obstore_config(server, bucket) | {
            "access_key_id": {"env": "S3_KEY"},
            "secret_access_key": {"env": "S3_SECRET"},
        }
        logs = {"module": "dagster_obstore.s3.compute_log_manager", "class": "S3ComputeLogManager", "config": config}
        keys = {"S3_KEY": server.access_key, "S3_SECRET": server.secret_key}
        self.sign = folder / "sign"
        self.env = {**keys, "SIGN": str(self.sign), "RUNPLANE_LOGS_PATIENCE": "2"}
        self.system = make_system(CODE, json.dumps({"compute_logs": logs}), self.env)
        self._other = folder / "second-home"
        self._other.mkdir()
        same_runs = {"sqlite": {"base_dir": str(self.system.home)}}
        (self._other / "dagster.yaml").write_text(json.dumps({"storage": same_runs, "compute_logs": logs}))

    def logs(self, run_id: str, *more: str) -> subprocess.CompletedProcess[str]:
        """``run logs`` on the second machine."""
        return self.system.cli("run", "logs", run_id, *more, DAGSTER_HOME=str(self._other))

    def following(self, run_id: str) -> subprocess.Popen[bytes]:
        """``run logs --follow`` on the second machine."""
        return subprocess.Popen(
            [sys.executable, "-m", "runplane", "run", "logs", run_id, "--follow"],
            env=self.system.environment(DAGSTER_HOME=str(self._other)),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def until_complete(self, run_id: str, words: str) -> None:
        """Wait until the second machine reads `words` and the uploaders are gone."""
        self.system.wait_for("the uploaders' end", lambda: not self.system.processes(), 60)
        assert self.logs(run_id).stdout == words


@pytest.fixture
def machines(make_system: Callable[..., System], s3_server: s3.S3Server, s3_bucket: str, tmp_path: Path) -> Machines:
    return Machines(make_system, s3_server, s3_bucket, tmp_path)


def read_line(stream: IO[bytes] | None) -> bytes:
    assert stream is not None
    return stream.readline()


@pytest.mark.parametrize("job", ["talking", "talking_here"])
def test_a_log_is_followed_on_another_machine(machines: Machines, job: str) -> None:
    system = machines.system
    run_id = system.create(job)
    worker = system.worker(run_id)
    reader = machines.following(run_id)

    first = read_line(reader.stdout)
    unfinished = worker.poll() is None
    machines.sign.touch()
    rest = reader.communicate(timeout=60)[0]

    assert (first, unfinished, rest) == (b"first word\n", True, b"last word\n")
    assert worker.wait(60) == 0
    assert system.status(run_id) is RunStatus.SUCCESS, system.story(run_id)


def test_the_process_that_forks_steps_stays_without_threads(machines: Machines) -> None:
    system = machines.system
    machines.sign.touch()
    run_id = system.create("talking")

    assert system.run_to_end(run_id) == 0

    (said,) = system.bodies(run_id, "start")
    assert (said["client"], said["threads"]) == (False, 1)
    assert not [e for e in system.events(run_id) if "started anew instead of forked" in str(e.body.get("message"))]


def test_attempts_have_logs_of_their_own_whatever_they_die_of(machines: Machines) -> None:
    system = machines.system
    run_id = system.create("dying")

    assert system.run_to_end(run_id) == 0

    assert machines.logs(run_id).stdout == "attempt 1 speaks\nattempt 2 speaks\n"
    assert system.kinds(run_id)["LOGS_CAPTURED"] == 2


@pytest.mark.parametrize("job", ["talking", "talking_here"])
def test_a_log_is_complete_after_kill_9_of_the_runs_worker(machines: Machines, job: str) -> None:
    system = machines.system
    run_id = system.create(job)
    worker = system.worker(run_id)
    system.wait_for("the step", lambda: system.bodies(run_id, "start"))
    system.wait_for("where its log is", lambda: system.kinds(run_id)["LOGS_CAPTURED"])

    os.kill(worker.pid, signal.SIGKILL)

    machines.until_complete(run_id, "first word\n")
    assert not list(system.home.rglob("*.out")), "all of it is in the bucket"


def test_a_step_of_its_own_process_has_its_log_in_the_bucket(machines: Machines) -> None:
    system = machines.system
    machines.sign.touch()
    run_id = system.create("talking")
    claim = system.coordinate(run_id)

    worker = system.cli("api", "execute_step", system.issue(run_id, claim, 1, "talks"))

    assert worker.returncode == 0, worker.stderr
    assert machines.logs(run_id).stdout == "first word\nlast word\n"


def test_an_outage_during_a_run_costs_nothing(machines: Machines, s3_server: s3.S3Server) -> None:
    system = machines.system
    run_id = system.create("talking")
    s3_server.stop()
    worker = system.worker(run_id)
    system.wait_for("the step", lambda: system.bodies(run_id, "start"))

    machines.sign.touch()
    system.wait_for_status(run_id, RunStatus.SUCCESS)
    s3_server.start()

    assert worker.wait(60) == 0
    assert machines.logs(run_id).stdout == "first word\nlast word\n"


def test_an_outage_to_the_end_is_told_by_an_event_and_the_log_stays_here(
    machines: Machines, s3_server: s3.S3Server
) -> None:
    system = machines.system
    machines.sign.touch()
    run_id = system.create("talking")
    s3_server.stop()

    code = system.run_to_end(run_id)

    assert (code, system.status(run_id)) == (0, RunStatus.SUCCESS)
    told = [e for e in system.events(run_id) if "is not stored whole" in str(e.body.get("message"))]
    assert len(told) == 1, system.story(run_id)
    assert not any(secret in str(told[0].body) for secret in (s3_server.access_key, s3_server.secret_key))
    (left,) = system.home.rglob("*.out")
    assert left.read_text() == "first word\nlast word\n"
    assert system.cli("run", "logs", run_id).stdout == "first word\nlast word\n", "here it can still be read"
    elsewhere = machines.logs(run_id)
    assert elsewhere.returncode != 0
    assert "127.0.0.1" in elsewhere.stderr
    assert "Traceback" not in elsewhere.stderr
