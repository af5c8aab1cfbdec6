"""A run is executed again from code: what did not succeed of it, chosen steps, all of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runplane import (
    DagsterExecutionStepNotFoundError,
    DagsterInvariantViolationError,
    DagsterRunNotFoundError,
    DynamicOut,
    DynamicOutput,
    Instance,
    ReexecutionOptions,
    execute_job,
    in_process_executor,
    job,
    op,
    reconstructable,
)

BROKEN: set[str] = set()
RAN: list[str] = []


@pytest.fixture(autouse=True)
def nothing_is_broken() -> None:
    BROKEN.clear()
    RAN.clear()


@op(config_schema={"start": int})
def first(context: Any) -> int:
    RAN.append("first")
    return int(context.op_config["start"])


@op
def second(x: int) -> int:
    RAN.append("second")
    if "second" in BROKEN:
        raise ValueError("broken")
    return x + 1


@op
def third(x: int) -> int:
    RAN.append("third")
    return x + 1


@job(executor_def=in_process_executor)
def chain() -> None:
    third(second(first()))


@op(out=DynamicOut())
def spread() -> Iterator[DynamicOutput[int]]:
    RAN.append("spread")
    for i in range(3):
        yield DynamicOutput(i, f"k{i}")


@op
def work(x: int) -> int:
    RAN.append(f"work {x}")
    if f"work {x}" in BROKEN:
        raise ValueError("broken")
    return 10 * x


@op
def total(xs: list[int]) -> int:
    RAN.append("total")
    return sum(xs)


@job(executor_def=in_process_executor)
def mapped() -> None:
    total(spread().map(work).collect())


CONFIG = {"ops": {"first": {"config": {"start": 5}}}}


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    with Instance.ephemeral(tmp_path) as made:
        yield made


def run(of: Any, instance: Instance, again: ReexecutionOptions | None = None, **options: Any) -> Any:
    RAN.clear()
    return execute_job(reconstructable(of), instance, reexecution_options=again, **options)


def test_from_failure_runs_what_did_not_succeed_with_what_was_made(instance: Instance) -> None:
    BROKEN.add("second")
    failed = run(chain, instance, run_config=CONFIG)
    BROKEN.clear()

    rest = run(chain, instance, ReexecutionOptions.from_failure(failed.run_id, instance))

    assert (failed.success, rest.success) == (False, True)
    assert RAN == ["second", "third"]
    assert rest.output_for_node("third") == 7
    assert rest.dagster_run.run_config == CONFIG
    assert (rest.dagster_run.parent_run_id, rest.dagster_run.root_run_id) == (failed.run_id, failed.run_id)


def test_of_mapped_steps_only_those_that_failed_run_again(instance: Instance) -> None:
    BROKEN.add("work 1")
    failed = run(mapped, instance)
    BROKEN.clear()

    rest = run(mapped, instance, ReexecutionOptions.from_failure(failed.run_id, instance))

    assert RAN == ["work 1", "total"]
    assert rest.output_for_node("total") == 30


def test_chosen_steps_take_what_the_earlier_run_made(instance: Instance) -> None:
    whole = run(chain, instance, run_config=CONFIG)

    third_only = run(chain, instance, ReexecutionOptions(whole.run_id, step_selection=["third"]))
    again = run(chain, instance, ReexecutionOptions(third_only.run_id, step_selection=["second*"]))

    assert third_only.output_for_node("third") == 7
    assert RAN == ["second", "third"]
    assert again.success
    assert (again.dagster_run.parent_run_id, again.dagster_run.root_run_id) == (third_only.run_id, whole.run_id)


def test_without_a_selection_all_of_it_runs(instance: Instance) -> None:
    whole = run(chain, instance, run_config=CONFIG)

    run(chain, instance, ReexecutionOptions(whole.run_id))

    assert RAN == ["first", "second", "third"]


def test_config_that_is_given_stands_for_that_of_the_earlier_run(instance: Instance) -> None:
    whole = run(chain, instance, run_config=CONFIG)

    again = run(
        chain, instance, ReexecutionOptions(whole.run_id), run_config={"ops": {"first": {"config": {"start": 1}}}}
    )

    assert again.output_for_node("third") == 3


def test_what_can_not_be_executed_again_is_named(instance: Instance) -> None:
    whole = run(chain, instance, run_config=CONFIG)

    with pytest.raises(DagsterInvariantViolationError, match="nothing is left"):
        run(chain, instance, ReexecutionOptions.from_failure(whole.run_id, instance))
    with pytest.raises(DagsterInvariantViolationError, match="by its own job"):
        run(mapped, instance, ReexecutionOptions(whole.run_id))
    with pytest.raises(DagsterExecutionStepNotFoundError, match="fourth"):
        run(chain, instance, ReexecutionOptions(whole.run_id, step_selection=["fourth"]))
    with pytest.raises(DagsterRunNotFoundError, match="no run"):
        run(chain, instance, ReexecutionOptions("0" * 36))
    assert RAN == []
