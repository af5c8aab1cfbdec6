"""A database that goes away in the middle of a run costs waiting, not work; one that is away at the start has a name."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from runplane.errors.exit_codes import ExitCode
from runplane.events.kinds import EventKind
from runplane.events.status import RunStatus
from scale import scaled
from services.ports import free_port
from services.postgres import GivenPostgres
from services.system import System, postgres_yaml

AWAY_S = scaled(10, long=60)
"""Longer than whatever could give up in a run: the patience of verbs (5 s), a lock's time-out (5 s), four leases of the tests (2 s). In a
minute nothing further runs out, but a second line is said."""
FROZEN_S = scaled(8, long=60)
"""The same; a silent server counts as away after half a minute, which only the long one reaches."""
LINES = scaled(120_000, long=1_000_000)
CODE = (
    f"LINES = {LINES}"
    """
import time
from runplane import DynamicOut, DynamicOutput, RetryPolicy, job, multiprocess_executor, op

@op(out=DynamicOut())
def spread(context):
    for i in range(8):
        yield DynamicOutput(i, mapping_key=str(i))

@op
def work(context, number):
    say(context, "start")
    time.sleep(1.5)
    say(context, "end")
    return number

@op
def total(context, numbers):
    say(context, "start")
    return sum(numbers)

@job(executor_def=multiprocess_executor.configured({"max_concurrent": 2}))
def long_enough():
    total(spread().map(work).collect())

@op
def chatter(context):
    for i in range(LINES):
        if i % 1000 == 0:
            say(context, "line", i=i)
        context.log.info(f"line {i} " + "x" * 200)

@job(executor_def=multiprocess_executor)
def talkative():
    chatter()

@op
def quick(context):
    say(context, "start")

@job
def short():
    quick()
"""
)


@pytest.mark.parametrize(("outage", "away_s"), [("stop", AWAY_S), ("pause", FROZEN_S)])
def test_a_run_outlives_an_outage_and_runs_no_step_twice(
    postgres_system: Callable[[str], System], postgres_server: Any, outage: str, away_s: float
) -> None:
    if isinstance(postgres_server, GivenPostgres):
        pytest.skip("the server that was given is not ours to stop")
    system = postgres_system(CODE)
    run_id = system.create("long_enough")
    worker = system.worker(run_id)
    system.wait_for("two steps at work", lambda: len(system.bodies(run_id, "start")) >= 2)

    getattr(postgres_server, outage)()
    began = time.monotonic()
    while time.monotonic() - began < away_s:
        assert worker.poll() is None, f"the worker left:\n{system.stderr(worker)}"
        time.sleep(0.2)
    started_meanwhile = len(system.bodies(run_id, "start"))
    said = [line for line in system.stderr(worker).splitlines() if "Waiting for" in line]
    postgres_server.start()

    assert worker.wait(90) == 0
    assert system.status(run_id) is RunStatus.SUCCESS, system.story(run_id)
    system.check(run_id)
    kinds = system.kinds(run_id)
    assert (kinds["STEP_SUCCESS"], kinds["STEP_FAILURE"], kinds["RUN_RESUMED"]) == (10, 0, 0)
    assert len(system.bodies(run_id, "end")) == 8
    assert started_meanwhile <= 4, "what could not be stored was started all the same"
    if outage == "stop":
        assert 1 <= len(said) <= 2 * (1 + away_s // 30), said
    assert system.processes() == []


def test_a_step_that_logs_without_end_waits_for_a_database_that_is_away(
    postgres_system: Callable[[str], System], postgres_server: Any
) -> None:
    if isinstance(postgres_server, GivenPostgres):
        pytest.skip("the server that was given is not ours to stop")
    system = postgres_system(CODE)
    run_id = system.create("talkative")
    worker = system.worker(run_id)
    system.wait_for("the step's first lines", lambda: bool(system.bodies(run_id, "line")))
    before_kb = psutil.Process(worker.pid).memory_info().rss / 1024

    postgres_server.stop()
    said = -1
    while said < len(system.bodies(run_id, "line")):
        said = len(system.bodies(run_id, "line"))
        time.sleep(3.0)
    kept_kb = psutil.Process(worker.pid).memory_info().rss / 1024 - before_kb
    postgres_server.start()

    assert said < LINES / 1000, "it wrote all of it though nothing could be stored"
    assert kept_kb < 150_000
    assert worker.wait(scaled(300, long=1800)) == 0, system.stderr(worker)
    lines = [e for e in system.events(run_id) if e.kind == EventKind.LOG]
    assert [e.body["message"].split()[1] for e in lines] == [str(i) for i in range(LINES)]


def test_a_worker_whose_database_is_away_at_the_start_waits_and_then_says_so(
    make_system: Callable[..., System],
) -> None:
    system = make_system(CODE)
    run_id = system.create("short")
    (system.home / "dagster.yaml").write_text(postgres_yaml(f"postgresql://nobody@127.0.0.1:{free_port()}/none"))
    document = json.loads(system.instance.document(system.instance.runs.get(run_id)))

    began = time.monotonic()
    text = json.dumps({**document, "instance_ref": None})  # that of DAGSTER_HOME is used
    done = system.cli("api", "execute_run", text, RUNPLANE_DB_START_WAIT="3")

    took = time.monotonic() - began
    assert done.returncode == ExitCode.DATABASE_UNREACHABLE == 73, done.stderr
    assert 3 <= took < 15
    assert "127.0.0.1" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_worker_goes_on_when_its_database_comes_in_time(
    postgres_system: Callable[[str], System], postgres_server: Any
) -> None:
    if isinstance(postgres_server, GivenPostgres):
        pytest.skip("the server that was given is not ours to stop")
    system = postgres_system(CODE)
    run_id = system.create("short")
    document = system.instance.document(system.instance.runs.get(run_id))
    system.instance.disconnect()
    postgres_server.stop()

    worker = system.worker_of(document, RUNPLANE_DB_START_WAIT="60")
    system.wait_for("the wait", lambda: "Waiting for" in system.stderr(worker))
    postgres_server.start()

    assert worker.wait(60) == 0, system.stderr(worker)
    assert system.status(run_id) is RunStatus.SUCCESS


@pytest.mark.parametrize(
    "words", [["run", "list"], ["run", "show", "some"], ["job", "launch", "-f", "jobs.py", "-j", "short"]], ids=" ".join
)
def test_a_verb_for_people_waits_five_seconds_and_ends_with_2(
    make_system: Callable[..., System], words: list[str]
) -> None:
    port = free_port()
    system = make_system(CODE)
    (system.home / "dagster.yaml").write_text(postgres_yaml(f"postgresql://someone:word@127.0.0.1:{port}/none"))

    began = time.monotonic()
    done = system.cli(*words)

    assert done.returncode == 2, done.stderr
    assert 5 <= time.monotonic() - began < 10, "it waited more than once"
    assert str(port) in done.stderr
    assert "word" not in done.stderr
    assert "Traceback" not in done.stderr
