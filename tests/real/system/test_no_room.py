"""Runs whose disk is full or read-only: they fail by name or wait, nothing is half written, and nothing hangs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runplane.errors.exit_codes import ExitCode
from runplane.events.status import RunStatus
from runplane.instance.instance import Instance
from runplane.storage.contract import RunFilter
from services.small_disk import SmallDisk, mounted
from services.system import System

FULL = "No space left on device"
SQLITE_FULL = "database or disk is full"
READ_ONLY = "Read-only file system"
CODE = """
import os, time
from runplane import in_process_executor, job, multiprocess_executor, op

@op
def large(context):
    return b"x" * 3_000_000

@op
def talks(context):
    for _ in range(3000):
        print("y" * 1000)

@op
def waits(context):
    say(context, "start")
    while not os.path.exists(os.environ["GATE"]):
        time.sleep(0.05)
    for _ in range(300):
        context.log.info("z" * 10_000)

@job(executor_def=in_process_executor)
def large_here():
    large()

@job(executor_def=multiprocess_executor)
def large_apart():
    large()

@job(executor_def=in_process_executor)
def talks_here():
    talks()

@job(executor_def=multiprocess_executor)
def talks_apart():
    talks()

@job(executor_def=in_process_executor)
def waits_here():
    waits()

@job(executor_def=multiprocess_executor)
def waits_apart():
    waits()
"""


@pytest.fixture
def files(tmp_path: Path) -> Iterator[SmallDisk]:
    """The disk for outputs, logs of steps and logs of workers; the database is on another one."""
    with mounted(tmp_path / "system-0" / "home" / "storage", "1m") as disk:
        yield disk


@pytest.fixture
def whole_home(tmp_path: Path) -> Iterator[SmallDisk]:
    """The disk for the whole home, with the database: what is logged has room three times, in the log, in the database, and in the
    database's WAL, which keeps its size until the database has room for what is in it."""
    with mounted(tmp_path / "system-0" / "home", "16m") as disk:
        yield disk


@pytest.fixture
def system(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[System]:
    """Whatever disk the test asked for is mounted by then."""
    made = System(tmp_path / "system-0", CODE, env={"GATE": str(tmp_path / "gate")})
    yield made
    made.close()


def failure(system: System, run_id: str) -> str:
    """How the one step failed."""
    assert system.status(run_id) is RunStatus.FAILURE, system.story(run_id)
    system.check(run_id)
    return str(system.last(run_id, "STEP_FAILURE").body["error"])


@pytest.mark.parametrize("job", ["large_here", "large_apart"])
def test_an_output_that_finds_no_room(files: SmallDisk, system: System, job: str) -> None:
    run_id = system.create(job)

    assert system.run_to_end(run_id) == 0

    assert FULL in failure(system, run_id)
    left = [p.name for p in (files.path / run_id).rglob("*") if p.is_file() and p.stat().st_size > 1000]
    assert left == [], "something half written was left"


@pytest.mark.parametrize("job", ["talks_here", "talks_apart"])
def test_a_log_that_finds_no_room(files: SmallDisk, system: System, job: str) -> None:
    run_id = system.create(job)

    assert system.run_to_end(run_id) == 0

    assert FULL in failure(system, run_id)


@pytest.mark.parametrize("job", ["large_here", "large_apart"])
def test_job_execute_says_why(files: SmallDisk, system: System, job: str) -> None:
    done = system.cli("job", "execute", "-f", "jobs.py", "-j", job)

    assert done.returncode == 1, done.stderr
    assert FULL in done.stdout + done.stderr


@pytest.mark.parametrize("verb", ["execute", "launch"])
def test_a_worker_that_finds_no_room_for_its_own_log(files: SmallDisk, system: System, verb: str) -> None:
    files.fill()

    system.cli("job", verb, "-f", "jobs.py", "-j", "large_here")

    (run,) = system.instance.runs.page(RunFilter()).runs
    system.wait_for_status(run.run_id, RunStatus.FAILURE)
    assert FULL in failure(system, run.run_id)


@pytest.mark.parametrize("verb", ["execute", "launch"])
def test_a_worker_whose_log_can_not_be_made(files: SmallDisk, system: System, verb: str) -> None:
    files.read_only()

    done = system.cli("job", verb, "-f", "jobs.py", "-j", "large_here")

    assert done.returncode != 0
    assert READ_ONLY in done.stderr
    assert "Traceback" not in done.stderr
    runs = system.instance.runs.page(RunFilter()).runs
    assert {r.status for r in runs} == {RunStatus.FAILURE}, "a run that nobody will start was left"


@pytest.mark.parametrize("job", ["waits_here", "waits_apart"])
def test_a_database_without_room_is_waited_for(whole_home: SmallDisk, system: System, tmp_path: Path, job: str) -> None:
    run_id = system.create(job)
    worker = system.worker(run_id)
    system.wait_for("the step", lambda: system.bodies(run_id, "start"))

    whole_home.fill()
    (tmp_path / "gate").touch()
    if job == "waits_apart":
        system.wait_for("the wait", lambda: SQLITE_FULL in system.stderr(worker), 60)
    else:
        time.sleep(2)  # its stderr is the log of its steps, on the disk that is full: nothing tells the moment
    assert worker.poll() is None
    whole_home.clear()

    assert worker.wait(60) == 0, system.stderr(worker)
    system.check(run_id)
    assert system.status(run_id) is RunStatus.SUCCESS or FULL in failure(system, run_id), system.story(run_id)


def test_a_read_only_home(whole_home: SmallDisk, system: System) -> None:
    run_id = system.create("large_here")
    document = system.instance.document(system.instance.runs.get(run_id))
    system.instance.close()
    whole_home.read_only()

    worker = system.worker_of(document, RUNPLANE_DB_START_WAIT="1")
    code = worker.wait(60)
    person = system.cli("job", "execute", "-f", "jobs.py", "-j", "large_here")

    assert code == ExitCode.DATABASE_UNREACHABLE
    assert person.returncode == 2
    for said in (system.stderr(worker), person.stderr):
        assert "read-only" in said.lower() or "readonly" in said.lower(), said
        assert "Traceback" not in said
    whole_home.read_only(False)
    with Instance.from_home(system.home) as instance:
        assert [r.status for r in instance.runs.page(RunFilter()).runs] == [RunStatus.NOT_STARTED]
