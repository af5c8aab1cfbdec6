"""Config that stands for other config: of a job, of a graph, of an op, of a resource."""

from __future__ import annotations

from typing import Any

import pytest

from runplane import (
    Config,
    ConfigMapping,
    DagsterConfigMappingFunctionError,
    DagsterInvalidConfigError,
    Field,
    config_mapping,
    configured,
    graph,
    job,
    op,
    resource,
)


class Numbers(Config):
    number: int


@op(config_schema={"n": int, "word": Field(str, default_value="w")})
def shows(context: Any) -> list[Any]:
    return [context.op_config["n"], context.op_config["word"]]


def value(of: Any, node: str, run_config: Any = None) -> Any:
    return of.execute_in_process(run_config=run_config).output_for_node(node)


def test_a_jobs_mapping_makes_the_whole_run_config() -> None:
    @config_mapping(config_schema={"number": Field(int, default_value=4)})
    def of_a_job(config: Any) -> Any:
        return {"ops": {"shows": {"config": {"n": config["number"]}}}}

    @job(config=of_a_job)
    def mapped() -> None:
        shows()

    assert value(mapped, "shows", {"number": 1}) == [1, "w"]
    assert value(mapped, "shows") == [4, "w"]


def test_a_parameter_of_a_config_class_is_the_schema() -> None:
    @config_mapping
    def of_a_job(config: Numbers) -> Any:
        return {"ops": {"shows": {"config": {"n": config.number + 1}}}}

    @job(config=of_a_job)
    def mapped() -> None:
        shows()

    assert value(mapped, "shows", {"number": 1}) == [2, "w"]
    with pytest.raises(DagsterInvalidConfigError, match="number"):
        value(mapped, "shows", {"number": "x"})


@graph(config=ConfigMapping(config_fn=lambda c: {"shows": {"config": {"n": c["m"]}}}, config_schema={"m": int}))
def inner() -> Any:
    return shows()


@job
def with_graph() -> None:
    inner()


def test_a_graphs_mapping_makes_the_config_of_its_ops() -> None:
    assert value(with_graph, "inner.shows", {"ops": {"inner": {"config": {"m": 6}}}}) == [6, "w"]


def test_what_does_not_fit_the_mapping_is_said_at_its_own_path() -> None:
    with pytest.raises(DagsterInvalidConfigError, match=r"ops\.inner\.config"):
        value(with_graph, "inner.shows", {"ops": {"inner": {"config": {"m": "x"}}}})


def test_what_the_mapping_makes_is_checked_too() -> None:
    @job(config=ConfigMapping(config_fn=lambda _: {"ops": {"shows": {"config": {"n": "no number"}}}}))
    def mapped() -> None:
        shows()

    with pytest.raises(DagsterInvalidConfigError, match="n"):
        value(mapped, "shows", {})


def test_a_function_that_fails_is_named() -> None:
    @job(config=ConfigMapping(config_fn=lambda config: config["not there"]))
    def mapped() -> None:
        shows()

    with pytest.raises(DagsterConfigMappingFunctionError) as caught:
        value(mapped, "shows", {})

    assert isinstance(caught.value.__cause__, KeyError)


def test_an_op_that_was_configured_takes_what_is_left() -> None:
    three = shows.configured({"n": 3}, name="three")

    @configured(shows, {"twice": int})
    def doubled(config: Any) -> Any:
        return {"n": 2 * config["twice"], "word": "made"}

    @job
    def some() -> None:
        three()
        doubled()

    config = {"ops": {"doubled": {"config": {"twice": 2}}}}
    assert value(some, "three", config) == [3, "w"]
    assert value(some, "doubled", config) == [4, "made"]
    with pytest.raises(DagsterInvalidConfigError, match="twice"):
        value(some, "doubled", {"ops": {"doubled": {"config": {"twice": "x"}}}})


def test_a_resource_that_was_configured_by_a_function() -> None:
    @resource(config_schema={"url": str})
    def client(context: Any) -> Any:
        return context.resource_config["url"]

    @configured(client, {"host": str})
    def of_host(config: Any) -> Any:
        return {"url": f"http://{config['host']}"}

    @op(required_resource_keys={"client"})
    def calls(context: Any) -> Any:
        return context.resources.client

    @job(resource_defs={"client": of_host})
    def called() -> None:
        calls()

    assert value(called, "calls", {"resources": {"client": {"config": {"host": "h"}}}}) == "http://h"
