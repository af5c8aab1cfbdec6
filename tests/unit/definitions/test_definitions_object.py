"""Several ``Definitions`` in one: what they share, and what contradicts itself."""

from __future__ import annotations

from typing import Any

import pytest

from runplane import (
    DagsterInvalidDefinitionError,
    DagsterInvariantViolationError,
    Definitions,
    asset,
    define_asset_job,
    in_process_executor,
    job,
    multiprocess_executor,
    op,
    resource,
)


@op(required_resource_keys={"r"})
def uses(context: Any) -> Any:
    return context.resources.r


@job
def needs() -> None:
    uses()


@asset
def first() -> int:
    return 1


@asset
def second(first: int) -> int:
    return first + 1


shared = resource(lambda: "shared")


def test_what_one_has_the_jobs_of_the_others_may_use() -> None:
    jobs = Definitions([first], jobs=[needs, define_asset_job("all")], metadata={"a": 1, "b": 1})
    others = Definitions([second], resources={"r": shared}, executor=in_process_executor, metadata={"b": 2})

    merged = Definitions.merge(jobs, others)

    assert merged.get_job_def("needs").execute_in_process().output_for_node("uses") == "shared"
    assert merged.get_job_def("needs").executor_def is in_process_executor
    assert merged.get_job_def("all").execute_in_process().asset_value("second") == 2
    assert merged.metadata == {"a": 1, "b": 2}


def test_what_stands_in_several_is_there_once() -> None:
    defs = Definitions([first], jobs=[needs], resources={"r": shared})

    merged = Definitions.merge(defs, defs, Definitions(jobs=[needs]))

    assert [j.name for j in merged.jobs] == ["needs"]
    assert [key.to_user_string() for key in merged.resolve_all_asset_keys()] == ["first"]


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ({"resources": {"r": shared}}, {"resources": {"r": resource(lambda: 2)}}, "0 and 2 have different resources"),
        ({"executor": in_process_executor}, {"executor": multiprocess_executor}, "0, 2 have different executors"),
    ],
)
def test_what_contradicts_itself_is_named(one: dict[str, Any], other: dict[str, Any], said: str) -> None:
    with pytest.raises(DagsterInvariantViolationError, match=said):
        Definitions.merge(Definitions(**one), Definitions(), Definitions(**other))


def test_something_else_than_definitions_is_refused() -> None:
    with pytest.raises(DagsterInvalidDefinitionError, match="JobDefinition"):
        Definitions.merge(Definitions(), needs)  # type: ignore[arg-type]
