"""Step outputs in the database of runs: across processes, retries, re-execution, runs of assets, and after a deletion."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from runplane.events.status import RunStatus
from services.system import System

CODE = """
import os
from runplane import (
    Definitions, DynamicOut, DynamicOutput, RetryPolicy, asset, define_asset_job, job, multiprocess_executor, op,
)

IN_DATABASE = {"runplane/outputs": "database"}

@op(out=DynamicOut())
def spread():
    for n in range(3):
        yield DynamicOutput(n, mapping_key=f"n{n}")

@op(retry_policy=RetryPolicy(max_retries=1))
def double(context, n):
    if context.retry_number == 0 and n == 1:
        os._exit(7)
    return 2 * n

@op
def total(context, numbers):
    say(context, "start", total=sum(numbers))
    if os.environ.get("FAIL"):
        raise ValueError("for now")
    return sum(numbers)

@job(executor_def=multiprocess_executor, tags=IN_DATABASE)
def doubled():
    total(spread().map(double).collect())

@asset
def rows():
    return [1, 2]

@asset
def count(context, rows):
    say(context, "start", count=len(rows))
    return len(rows)

defs = Definitions(
    assets=[rows, count],
    jobs=[
        doubled,
        define_asset_job("makes_rows", "rows", tags=IN_DATABASE, executor_def=multiprocess_executor),
        define_asset_job("counts", "count", tags=IN_DATABASE, executor_def=multiprocess_executor),
    ],
)
"""


@pytest.fixture
def system(make_system: Callable[..., System]) -> System:
    return make_system(CODE)


def test_a_run_again_from_failure_reads_the_values_of_its_parent_and_nothing_is_left_when_both_are_deleted(
    system: System,
) -> None:
    run_id = system.create("doubled")
    system.run_to_end(run_id, FAIL="1")
    assert system.status(run_id) is RunStatus.FAILURE, system.story(run_id)

    again = system.cli("run", "retry", run_id, "--from-failure")

    assert again.returncode == 0, again.stdout + again.stderr
    system.wait_for("the step of the new run", lambda: len(system.bodies()) == 2, 60)
    first, second = system.bodies()
    assert (first["run"], first["total"], second["total"]) == (run_id, 6, 6)
    system.wait_for_status(second["run"], RunStatus.SUCCESS)
    assert not list((system.home / "storage").rglob("result"))
    assert values(system) > 0

    system.wait_for(
        "the worker's end", lambda: system.cli("run", "delete", second["run"], run_id, "--yes").returncode == 0, 60
    )
    assert values(system) == 0


def test_an_asset_that_an_earlier_run_made_is_loaded(system: System) -> None:
    early = system.create("counts")
    system.run_to_end(early)
    assert "no run that is still there made asset rows" in system.story(early)

    made, counted = system.create("makes_rows"), system.create("counts")
    for run_id in (made, counted):
        assert system.run_to_end(run_id) == 0
        assert system.status(run_id) is RunStatus.SUCCESS, system.story(run_id)

    assert [b["count"] for b in system.bodies(counted)] == [2]


def values(system: System) -> int:
    return int(system.instance.database.read("SELECT count(*) FROM output_value", {})[0][0])
