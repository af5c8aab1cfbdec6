"""Runs of assets in this process: values, events, what a later run takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runplane import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetKey,
    AssetMaterialization,
    Definitions,
    Instance,
    Output,
    asset,
    asset_check,
    define_asset_job,
    job,
    materialize,
    op,
)
from runplane.events.dagster_view import entries_of, event_from_entry
from runplane.outputs.filesystem import FilesystemIOManager


@asset(key_prefix="raw", code_version="3")
def numbers(context: AssetExecutionContext) -> list[int]:
    context.add_asset_metadata({"unit": "kg"})
    context.add_output_metadata({"rows": 2})
    return [1, 2]


@asset(ins={"numbers": AssetKey(["raw", "numbers"])})
def total(numbers: list[int]) -> int:
    return sum(numbers)


def test_the_event_of_an_asset_has_what_user_code_and_io_manager_added(tmp_path: Path) -> None:
    with Instance.from_home(tmp_path) as instance:
        result = materialize([numbers], instance=instance)

        (made,) = result.get_asset_materialization_events()
        path = str(tmp_path / "storage" / "raw" / "numbers")
        assert made.stored.body == {
            "message": "Materialized value raw numbers.",
            "asset_key": "raw/numbers",
            "metadata": {"rows": 2, "path": {"__class__": "PathMetadataEntryData", "path": path}, "unit": "kg"},
            "tags": {"dagster/code_version": "3"},
        }
        assert Path(path).is_file()


def test_events_of_assets_are_dagsters_and_read_back() -> None:
    @asset_check(asset=numbers)
    def fine() -> AssetCheckResult:
        return AssetCheckResult(passed=True, metadata={"n": 1})

    result = materialize([numbers, fine])

    told = [e for e in result.stored_events if e.kind.startswith("ASSET")]
    assert [e.kind for e in told] == [
        "ASSET_MATERIALIZATION_PLANNED",
        "ASSET_CHECK_EVALUATION_PLANNED",
        "ASSET_MATERIALIZATION",
        "ASSET_CHECK_EVALUATION",
    ]
    for event in told:
        (entry,) = entries_of(event, "j")
        again = event_from_entry(entry)
        assert (again.kind, again.step, again.body["asset_key"]) == (event.kind, event.step, "raw/numbers")
        assert "dagster" not in again.body, "something of our form is not understood"


def test_a_later_run_takes_what_an_earlier_one_made(tmp_path: Path) -> None:
    with Instance.from_home(tmp_path) as instance:
        materialize([numbers], instance=instance)

        result = materialize([numbers, total], instance=instance, selection=[total])

        assert [e.step_key for e in result.get_step_success_events()] == ["total"]
        assert result.asset_value("total") == 3


def test_an_asset_is_kept_in_the_place_of_the_older_one(tmp_path: Path) -> None:
    made: list[int] = []

    @asset
    def counted() -> int:
        made.append(1)
        return len(made)

    resources = {"io_manager": FilesystemIOManager(base_dir=str(tmp_path))}

    materialize([counted], resources=resources)
    result = materialize([counted], resources=resources)

    assert result.asset_value("counted") == 2
    assert [p.name for p in tmp_path.iterdir()] == ["counted"]


def test_a_failing_blocking_check_keeps_what_is_downstream_from_running() -> None:
    @asset_check(asset=numbers, blocking=True)
    def never() -> AssetCheckResult:
        return AssetCheckResult(passed=False)

    result = materialize([numbers, total, never], raise_on_error=False)

    assert not result.success
    assert result.get_failed_step_keys() == {"raw__numbers_never"}
    assert result.is_node_untouched("total") or not result.is_node_success("total")
    assert [e.passed for e in result.get_asset_check_evaluations()] == [False]


def test_a_blocking_check_that_warns_stops_nothing() -> None:
    @asset_check(asset=numbers, blocking=True)
    def doubts() -> AssetCheckResult:
        return AssetCheckResult(passed=False, severity=AssetCheckSeverity.WARN)

    result = materialize([numbers, total, doubts], raise_on_error=False)

    assert result.get_failed_step_keys() == set()
    assert result.asset_value("total") == 3


def test_a_blocking_check_of_the_function_is_told_before_the_step_fails() -> None:
    @asset(check_specs=[AssetCheckSpec("rows", asset="table", blocking=True)])
    def table() -> Any:
        yield Output(1)
        yield AssetCheckResult(passed=False, description="none")

    result = materialize([table], raise_on_error=False)

    kinds = [e.event_type_value for e in result.events_for_node("table")]
    assert kinds[-2:] == ["ASSET_CHECK_EVALUATION", "STEP_FAILURE"]
    assert "ASSET_MATERIALIZATION" in kinds


def test_the_selection_stands_with_the_run(tmp_path: Path) -> None:
    defs = Definitions(assets=[numbers, total], jobs=[define_asset_job("j")])

    result = defs.get_job_def("j").execute_in_process(asset_selection=[AssetKey(["raw", "numbers"])])

    assert result.dagster_run.asset_selection == ("raw/numbers",)
    assert [e.step_key for e in result.get_step_success_events()] == ["raw__numbers"]


def test_an_op_of_any_job_may_say_what_it_made() -> None:
    @op
    def says(context: Any) -> Any:
        context.log_event(AssetMaterialization("first"))
        yield AssetMaterialization(["second", "part"], description="well", metadata={"n": 1})
        yield Output(1)

    @job
    def talking() -> None:
        says()

    result = talking.execute_in_process()

    made = result.asset_materializations_for_node("says")
    assert [m.asset_key.to_user_string() for m in made] == ["first", "second/part"]
    assert (made[1].description, made[1].metadata["n"].value) == ("well", 1)


def test_what_is_logged_before_a_failure_is_told() -> None:
    @op
    def says(context: Any) -> None:
        context.log_event(AssetMaterialization("first"))
        raise ValueError("no")

    @job
    def failing() -> None:
        says()

    result = failing.execute_in_process(raise_on_error=False)

    assert [m.label for m in result.asset_materializations_for_node("says")] == ["first"]


def test_what_is_no_event_is_refused() -> None:
    @op
    def says(context: Any) -> None:
        context.log_event("text")

    @job
    def wrong() -> None:
        says()

    with pytest.raises(Exception, match="this is no event"):
        wrong.execute_in_process()
