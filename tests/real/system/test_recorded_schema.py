"""A database that an older version left, with runs in it: `instance migrate` brings it up to date, and its runs go on."""

from __future__ import annotations

import contextlib
import os
import pickle
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from runplane.engine.snapshot import StoredOutput
from runplane.events.kinds import EventKind as K
from runplane.events.status import RunStatus
from runplane.plan.reexecution import finished_by, remainder_of
from runplane.storage.contract import RunFilter
from runplane.storage.schema import SCHEMA_VERSION
from services.system import System, postgres_yaml

RECORDED = Path(__file__).resolve().parents[2] / "fixtures" / "schemas"
CODE = """
from runplane import in_process_executor, job, op

@op
def first():
    raise AssertionError("it succeeded before")

@op
def second(x):
    return x + 1

@op
def third(x):
    return x + 1

@job(executor_def=in_process_executor)
def chain():
    third(second(first()))
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def yaml(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The dagster.yaml of a home of schema 0001 that was moved to here."""
    dump = (RECORDED / f"0001.{request.param}.sql").read_text()
    dump = dump.replace("/recorded/python", sys.executable).replace("/recorded", str(tmp_path))
    (tmp_path / "recorded.py").write_text(CODE)
    (tmp_path / "home").mkdir()
    if request.param == "sqlite":
        with contextlib.closing(sqlite3.connect(tmp_path / "home" / "runplane.db")) as file:
            file.executescript(dump)
        return ""
    url: str = request.getfixturevalue("postgres_url")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(dump.encode())
    return postgres_yaml(url)


def called(folder: Path, yaml: str, *words: str) -> subprocess.CompletedProcess[str]:
    """The command, as a person calls it."""
    (folder / "home" / "dagster.yaml").write_text(yaml)
    env = {**os.environ, "DAGSTER_HOME": str(folder / "home")}
    command = [sys.executable, "-m", "runplane", *words]
    return subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def system(yaml: str, tmp_path: Path) -> Iterator[System]:
    """The same home after the migration."""
    refused = called(tmp_path, yaml, "run", "list")
    assert (refused.returncode, "runplane instance migrate" in refused.stderr) == (2, True), refused.stderr
    migrated = called(tmp_path, yaml, "instance", "migrate")
    assert migrated.returncode == 0, migrated.stderr
    *steps, _where = migrated.stdout.splitlines()
    assert (steps[0][:6], steps[-1][:6]) == ("0002: ", f"{SCHEMA_VERSION}: ")
    made = System(tmp_path, "", yaml)
    yield made
    made.close()


def put_back_outputs(system: System, run_id: str) -> None:
    """The files that the older version wrote for a run: each holds what its step gave."""
    for event in system.events(run_id):
        if event.kind == K.STEP_OUTPUT:
            path = Path(event.body["location"]["path"])
            path.parent.mkdir(parents=True)
            path.write_bytes(pickle.dumps({"first": 5, "second": 6, "third": 7}[str(event.step)], protocol=4))


def test_runs_of_an_older_version_are_whole_and_go_on(system: System) -> None:
    runs = {run.status: run for run in system.instance.runs.page(RunFilter()).runs}
    assert sorted(runs) == [RunStatus.FAILURE, RunStatus.STARTED, RunStatus.SUCCESS]

    of_success = system.check(runs[RunStatus.SUCCESS].run_id)
    assert [e.step for e in of_success if e.kind == K.STEP_SUCCESS] == ["first", "second", "third"]

    failed = runs[RunStatus.FAILURE]
    events = system.check(failed.run_id)
    error = next(e for e in events if e.kind == K.STEP_FAILURE).body["error"]["cause"]
    assert failed.plan_id is not None
    left = remainder_of(system.instance.journal.get_plan(failed.plan_id), finished_by(failed.run_id, events))
    assert (error["message"], failed.tags["second"]) == ("ValueError: broken\n", "fails")
    assert left.step_keys == ("second", "third")
    assert [(o.step, type(o)) for o in left.known_outputs] == [("first", StoredOutput)]

    killed = runs[RunStatus.STARTED].run_id
    put_back_outputs(system, killed)
    code = system.run_to_end(killed)

    assert (code, system.status(killed)) == (0, RunStatus.SUCCESS), system.story(killed)
    ends = {(e.step, e.n) for e in system.check(killed) if e.kind == K.STEP_SUCCESS}
    assert ends == {("first", 1), ("second", 2), ("third", 1)}
