"""Assets in processes of their own: a forked child per step, a step container's verb, a blocking check, a selection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runplane.events.argv import STEP_ARGS_ENV
from runplane.events.kinds import EventKind
from runplane.events.status import RunStatus
from runplane.instance.retrying import RetryStrategy, retry_request
from runplane.locations.subprocess_source import SubprocessCodeSource
from runplane.locations.target import CodeRequest
from services.system import System

CODE = """
from runplane import (
    AssetCheckResult, AssetIn, Definitions, asset, asset_check, define_asset_job, multiprocess_executor, multi_asset, AssetSpec,
    MaterializeResult,
)

@asset(key_prefix="raw")
def orders(context):
    say(context, "made")
    return [1, 2]

@asset(ins={"orders": AssetIn(key_prefix="raw")})
def total(context, orders):
    say(context, "made", got=orders)
    return sum(orders)

@asset(deps=[total])
def exported(context) -> None:
    say(context, "made")

@asset_check(asset=total, blocking=True)
def small(context, total):
    return AssetCheckResult(passed=total < 2, metadata={"total": total})

@multi_asset(specs=[AssetSpec("x"), AssetSpec("y")], can_subset=True)
def some(context):
    say(context, "made", keys=sorted(k.to_user_string() for k in context.selected_asset_keys))
    for key in sorted(context.selected_asset_keys):
        if key.to_user_string() == "y" and context.run.job_name == "halves" and len(context.selected_asset_keys) == 2:
            raise ValueError("the second one fails beside the first")
        yield MaterializeResult(asset_key=key)

apart = multiprocess_executor.configured({"max_concurrent": 1})
defs = Definitions(
    assets=[orders, total, exported, some],
    asset_checks=[small],
    jobs=[
        define_asset_job("blocked", ["raw/orders", "total", "exported"], executor_def=apart),
        define_asset_job("part", "y", executor_def=apart),
        define_asset_job("halves", ["x", "y"], executor_def=apart),
    ],
    executor=apart,
)
"""


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    made = System(tmp_path, CODE)
    yield made
    made.close()


def keys(system: System, run_id: str, kind: EventKind) -> list[str]:
    return [e.body["asset_key"] for e in system.events(run_id) if e.kind == kind]


def test_a_blocking_check_that_fails_keeps_what_is_downstream_from_running(system: System) -> None:
    run_id = system.create("blocked")

    system.run_to_end(run_id)

    assert system.status(run_id) is RunStatus.FAILURE, system.story(run_id)
    assert [b["step"] for b in system.bodies(run_id)] == ["raw__orders", "total"]
    assert keys(system, run_id, EventKind.ASSET_MATERIALIZATION_PLANNED) == ["exported", "raw/orders", "total"]
    assert keys(system, run_id, EventKind.ASSET_MATERIALIZATION) == ["raw/orders", "total"]
    checked = system.last(run_id, EventKind.ASSET_CHECK_EVALUATION)
    assert (checked.step, checked.body["passed"], checked.body["metadata"]) == ("total_small", False, {"total": 3})
    assert system.last(run_id, EventKind.STEP_ABANDONED).step == "exported"


def test_a_child_knows_which_part_is_wanted(system: System) -> None:
    run_id = system.create("part")

    system.run_to_end(run_id)

    assert system.status(run_id) is RunStatus.SUCCESS, system.story(run_id)
    assert [b["keys"] for b in system.bodies(run_id)] == [["y"]]
    assert keys(system, run_id, EventKind.ASSET_MATERIALIZATION) == ["y"]


def test_the_selection_of_a_run_holds_in_its_processes(system: System) -> None:
    done = system.cli("asset", "materialize", "-f", str(system.file), "--select", "x")

    assert done.returncode == 0, done.stderr
    assert [b["keys"] for b in system.bodies()] == [["x"]]


def test_a_step_container_loads_what_an_earlier_run_made(system: System) -> None:
    first = system.cli("asset", "materialize", "-f", str(system.file), "--select", "raw/orders")
    assert first.returncode == 0, first.stderr
    run_id = system.create("blocked")
    document = system.issue(run_id, system.coordinate(run_id), 1, "raw__orders")

    system.worker_of("", "execute_step", **{STEP_ARGS_ENV: document}).wait(60)

    assert keys(system, run_id, EventKind.ASSET_MATERIALIZATION) == ["raw/orders"], system.story(run_id)
    assert system.kinds(run_id)[EventKind.STEP_SUCCESS] == 1


def test_run_again_from_the_failure_of_an_asset_what_was_made_is_not_made_again(system: System) -> None:
    """`x` and `y` are one step, which fails between them: its steps are `some` again, its assets `y` alone."""
    run_id = system.create("halves")
    system.run_to_end(run_id)
    assert system.status(run_id) is RunStatus.FAILURE
    assert keys(system, run_id, EventKind.ASSET_MATERIALIZATION) == ["x"]

    request = retry_request(
        system.instance,
        system.instance.runs.get(run_id),
        lambda pointer: SubprocessCodeSource(CodeRequest(pointer=pointer)),
        RetryStrategy.FROM_ASSET_FAILURE,
    )
    again = system.instance.create(request)
    system.run_to_end(again.run_id)

    assert (again.asset_selection, again.step_keys) == (("y",), None)
    assert again.tags["dagster/is_asset_resume_retry"] == "true"
    assert system.status(again.run_id) is RunStatus.SUCCESS, system.story(again.run_id)
    assert keys(system, again.run_id, EventKind.ASSET_MATERIALIZATION) == ["y"]
