"""An input manager loads what no step makes, and in place of the IO manager of what one makes."""

from __future__ import annotations

from typing import Any

import pytest

from runplane import (
    DagsterInvariantViolationError,
    DagsterResourceFunctionError,
    In,
    InputContext,
    InputManagerDefinition,
    input_manager,
    job,
    op,
    resource,
)


@input_manager
def fixed() -> str:
    return "fixed"


@input_manager(config_schema={"prefix": str}, required_resource_keys={"base"}, description="made of parts")
def made_of_parts(context: InputContext) -> str:
    return f"{context.resource_config['prefix']} {context.resources.base} {context.name}"


@resource
def base() -> str:
    return "b"


@op
def one() -> int:
    return 1


@op(ins={"x": In(input_manager_key="loader")})
def takes(x: Any) -> Any:
    return x


def test_it_stands_for_a_step_that_is_not_there() -> None:
    @job(resource_defs={"loader": fixed})
    def alone() -> None:
        takes()

    assert alone.execute_in_process().output_for_node("takes") == "fixed"


def test_it_loads_what_a_step_made_in_its_own_way() -> None:
    @job(resource_defs={"loader": fixed})
    def connected() -> None:
        takes(one())

    result = connected.execute_in_process()

    assert result.output_for_node("takes") == "fixed"
    loaded = next(e for e in result.events_for_node("takes") if e.is_loaded_input)
    assert loaded.event_specific_data.manager_key == "loader"


def test_its_context_has_config_resources_and_the_inputs_name() -> None:
    @job(resource_defs={"loader": made_of_parts, "base": base})
    def with_parts() -> None:
        takes()

    run_config = {"resources": {"loader": {"config": {"prefix": "p"}}}}
    assert with_parts.execute_in_process(run_config=run_config).output_for_node("takes") == "p b x"
    assert made_of_parts.description == "made of parts"


def test_what_loads_no_input_is_refused_when_it_is_opened() -> None:
    @job(resource_defs={"loader": InputManagerDefinition(lambda _context: "no manager")})
    def wrong() -> None:
        takes()

    with pytest.raises(DagsterResourceFunctionError) as caught:
        wrong.execute_in_process()

    assert "gave something that is none" in str(caught.value.__cause__)


def test_config_of_single_inputs_is_refused() -> None:
    with pytest.raises(DagsterInvariantViolationError, match="config of single inputs"):
        input_manager(input_config_schema={"a": int})
