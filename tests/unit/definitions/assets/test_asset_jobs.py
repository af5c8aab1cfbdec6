"""A job of assets is a job of ops: what each step makes, takes and waits for."""

from __future__ import annotations

from typing import Any

import pytest

from runplane import (
    AssetCheckResult,
    AssetCheckSpec,
    AssetIn,
    AssetKey,
    AssetSelection,
    AssetSpec,
    DagsterInvalidDefinitionError,
    DagsterInvalidSubsetError,
    Definitions,
    MaterializeResult,
    Output,
    asset,
    asset_check,
    define_asset_job,
    graph_asset,
    multi_asset,
    op,
)
from runplane.engine.snapshot import plan_from_body, plan_to_body
from runplane.plan.compile import compile_plan
from runplane.plan.planned_assets import planned_events


@asset(key_prefix="raw")
def orders() -> list[int]:
    return [1]


@asset(ins={"orders": AssetIn(key_prefix="raw")})
def total(orders: list[int]) -> int:
    return sum(orders)


@asset(deps=[orders])
def exported() -> None:
    pass


@asset_check(asset=orders, blocking=True)
def some(orders: list[int]) -> AssetCheckResult:
    return AssetCheckResult(passed=bool(orders))


@op
def plus_one(x: int) -> int:
    return x + 1


@graph_asset
def raised(total: int) -> Any:
    return plus_one(plus_one(total))


DEFS = Definitions(assets=[orders, total, exported, raised], asset_checks=[some])


def plan_of(*keys: str, checks: tuple[str, ...] | None = None) -> dict[str, Any]:
    job = DEFS.get_implicit_global_asset_job_def().for_assets(keys or None, checks)
    return {step.key: step for step in compile_plan(job, {}).steps}


def sources(step: Any) -> dict[str, list[str]]:
    return {i.name: [f"{ref.step}.{ref.output}" for ref in i.sources] for i in step.inputs}


def test_step_keys_assets_and_checks_are_in_the_plan() -> None:
    steps = plan_of()

    assert {key: (step.asset_keys, step.check_keys) for key, step in steps.items()} == {
        "raw__orders": (("raw/orders",), ()),
        "raw__orders_some": ((), ("raw/orders:some",)),
        "exported": (("exported",), ()),
        "total": (("total",), ()),
        "raised.plus_one": ((), ()),
        "raised.plus_one_2": (("raised",), ()),
    }


def test_a_plan_with_assets_is_read_back() -> None:
    plan = compile_plan(DEFS.get_implicit_global_asset_job_def(), {})

    assert plan_from_body(plan_to_body(plan)) == plan


def test_what_is_downstream_waits_for_a_blocking_check_and_the_check_does_not() -> None:
    steps = plan_of()

    after_check = {"raw__orders_some.result": ["raw__orders_some.result"]}
    assert sources(steps["total"]) == {"orders": ["raw__orders.result"], **after_check}
    assert sources(steps["exported"]) == {"raw_orders": ["raw__orders.result"], **after_check}
    assert sources(steps["raw__orders_some"]) == {"orders": ["raw__orders.result"]}


def test_a_check_without_its_asset_still_blocks() -> None:
    steps = plan_of("total", checks=("raw/orders:some",))

    assert sources(steps["total"])["raw__orders_some.result"] == ["raw__orders_some.result"]
    assert sources(steps["total"])["orders"] == []


def test_without_its_checks_nothing_waits() -> None:
    steps = plan_of("raw/orders", "total", checks=())

    assert sources(steps["total"]) == {"orders": ["raw__orders.result"]}


def test_a_check_that_does_not_block_holds_nobody() -> None:
    @asset_check(asset=orders)
    def only_told() -> AssetCheckResult:
        return AssetCheckResult(passed=False)

    assert sources(_steps_of(orders, total, only_told)["total"]) == {"orders": ["raw__orders.result"]}


def test_checks_of_one_asset_do_not_wait_for_each_other() -> None:
    @asset_check(asset=orders, blocking=True)
    def first(orders: list[int]) -> AssetCheckResult:
        return AssetCheckResult(passed=True)

    @asset_check(asset=orders, blocking=True)
    def second(orders: list[int]) -> AssetCheckResult:
        return AssetCheckResult(passed=True)

    steps = _steps_of(orders, total, first, second)

    assert sources(steps["raw__orders_first"]) == {"orders": ["raw__orders.result"]}
    assert sources(steps["raw__orders_second"]) == {"orders": ["raw__orders.result"]}
    assert len(sources(steps["total"])) == 3


def _steps_of(*parts: Any) -> dict[str, Any]:
    checks = [part for part in parts if not part.keys]
    defs = Definitions([part for part in parts if part.keys], asset_checks=checks)
    return {step.key: step for step in compile_plan(defs.get_implicit_global_asset_job_def(), {}).steps}


def test_an_op_of_a_graph_waits_too() -> None:
    @asset_check(asset=total, blocking=True)
    def fine() -> AssetCheckResult:
        return AssetCheckResult(passed=True)

    job = Definitions(assets=[orders, total, raised, fine]).get_implicit_global_asset_job_def()
    steps = {s.key: s for s in compile_plan(job, {}).steps}

    assert sources(steps["raised.plus_one"]) == {"x": ["total.result"], "total_fine.result": ["total_fine.result"]}
    assert sources(steps["raised.plus_one_2"]) == {"x": ["raised.plus_one.result"]}


def test_what_was_planned_is_told_with_the_step_that_will_do_it() -> None:
    told = planned_events(compile_plan(DEFS.get_implicit_global_asset_job_def().for_assets(("raw/orders",)), {}))

    assert [(e.kind, e.step, e.body) for e in told] == [
        ("ASSET_MATERIALIZATION_PLANNED", "raw__orders", {"asset_key": "raw/orders"}),
        ("ASSET_CHECK_EVALUATION_PLANNED", "raw__orders_some", {"asset_key": "raw/orders", "check_name": "some"}),
    ]


def test_an_asset_that_the_job_does_not_make_is_refused_with_the_nearest() -> None:
    with pytest.raises(DagsterInvalidSubsetError, match=r"totl.*Did you mean 'total'"):
        plan_of("totl")


def test_a_job_of_ops_has_no_assets_to_select() -> None:
    job = Definitions(jobs=[_job_of_ops()]).get_job_def("plain")

    with pytest.raises(DagsterInvalidSubsetError, match="makes no assets"):
        job.for_assets(("a",))


def _job_of_ops() -> Any:
    from runplane import job

    @job
    def plain() -> None:
        _nothing()

    return plain


@op
def _nothing() -> None:
    pass


def test_the_job_of_all_assets_is_there_and_in_no_list() -> None:
    assert [job.name for job in DEFS.jobs] == []
    assert [job.name for job in DEFS.resolve_all_job_defs()] == ["__ASSET_JOB"]
    with pytest.raises(Exception, match="Found: no job at all"):
        DEFS.get_job_def("nobody")


def test_part_of_what_one_function_makes_needs_its_consent() -> None:
    @multi_asset(specs=[AssetSpec("a"), AssetSpec("b")])
    def both() -> None:
        pass

    with pytest.raises(DagsterInvalidDefinitionError, match="can_subset=True"):
        Definitions(assets=[both], jobs=[define_asset_job("j", AssetSelection.keys("a"))])


def test_functions_that_wait_for_each_other_are_refused() -> None:
    @multi_asset(specs=[AssetSpec("a"), AssetSpec("c", deps=["b"])])
    def around() -> None:
        pass

    @asset(deps=["a"])
    def b() -> None:
        pass

    with pytest.raises(DagsterInvalidDefinitionError, match=r"wait for each other.*around"):
        Definitions(assets=[around, b])


def test_one_key_twice_is_refused() -> None:
    @asset(name="total")
    def again() -> int:
        return 1

    with pytest.raises(DagsterInvalidDefinitionError, match="Duplicate asset key"):
        Definitions(assets=[orders, total, again])


def test_two_resources_of_one_key_are_refused() -> None:
    @asset(resource_defs={"r": 1}, required_resource_keys={"r"})
    def one() -> None:
        pass

    @asset(resource_defs={"r": 2}, required_resource_keys={"r"})
    def two() -> None:
        pass

    with pytest.raises(DagsterInvalidDefinitionError, match="Conflicting versions of resource with key 'r'"):
        Definitions(assets=[one, two])


def test_a_check_of_the_function_itself_blocks_by_failing_the_step() -> None:
    @asset(check_specs=[AssetCheckSpec("rows", asset="table", blocking=True)])
    def table() -> Any:
        yield Output(1)
        yield AssetCheckResult(passed=False)

    steps = {s.key: s for s in compile_plan(Definitions(assets=[table]).get_implicit_global_asset_job_def(), {}).steps}

    assert steps["table"].check_keys == ("table:rows",)
    assert [o.name for o in steps["table"].outputs] == ["result", "table_rows"]


@pytest.mark.parametrize("argument", ["partitions_def", "automation_condition", "freshness_policy", "backfill_policy"])
def test_what_comes_later_is_refused_by_name(argument: str) -> None:
    with pytest.raises(Exception, match=f"{argument} is not supported yet"):
        asset(name="a", **{argument: object()})(lambda: None)


def test_an_argument_that_nobody_knows_is_refused() -> None:
    with pytest.raises(Exception, match="compute_kind is not supported"):
        asset(name="a", compute_kind="python")(lambda: None)


def test_keys() -> None:
    key = AssetKey(["a", "b/c"])

    assert AssetKey.from_user_string(key.to_escaped_user_string()) == key
    assert AssetKey.from_coercible("a/b") == AssetKey(["a", "b"])
    assert AssetKey("a/b") != AssetKey(["a", "b"])
    assert sorted([AssetKey("b"), AssetKey("a")]) == [AssetKey("a"), AssetKey("b")]
    with pytest.raises(ValueError, match="one or more texts"):
        AssetKey([])


def test_a_result_for_an_asset_of_several_has_to_name_it() -> None:
    @multi_asset(specs=[AssetSpec("a"), AssetSpec("b")])
    def both() -> Any:
        yield MaterializeResult()

    job = Definitions(assets=[both]).get_implicit_global_asset_job_def()

    result = job.execute_in_process(raise_on_error=False)

    (failure,) = result.get_step_failure_events()
    assert "options are: ['a', 'b']" in failure.stored.body["error"]["message"]
