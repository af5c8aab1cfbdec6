"""Config that is made of other config: of jobs, of graphs, of ops, of resources."""

from dagster import (
    Config,
    ConfigMapping,
    Field,
    RunConfig,
    config_from_yaml_strings,
    config_mapping,
    configured,
    graph,
    job,
    op,
    resource,
    validate_run_config,
)


@op(config_schema={"n": int, "word": Field(str, default_value="w")})
def shows(context):
    return [context.op_config["n"], context.op_config["word"]]


@config_mapping(config_schema={"number": int})
def of_a_job(config):
    return {"ops": {"shows": {"config": {"n": config["number"]}}}}


@job(config=of_a_job)
def mapped():
    shows()


class Words(Config):
    word: str


class Given(Config):
    said: str


@op
def says(config: Words):
    return config.word


@config_mapping
def of_classes(given: Given) -> RunConfig:
    return RunConfig(ops={"says": Words(word=given.said)})


@job(config=of_classes)
def by_classes():
    says()


@graph(config=ConfigMapping(config_fn=lambda c: {"shows": {"config": {"n": c["m"]}}}, config_schema={"m": int}))
def inner():
    return shows()


@job
def with_graph():
    inner()


three = shows.configured({"n": 3}, name="three")


@configured(shows, {"twice": int})
def doubled(config):
    return {"n": 2 * config["twice"]}


@resource(config_schema={"url": str})
def client(context):
    return context.resource_config["url"]


@configured(client, {"host": str})
def of_host(config):
    return {"url": f"http://{config['host']}"}


@op(required_resource_keys={"client"})
def calls(context):
    return context.resources.client


@job(resource_defs={"client": of_host})
def called():
    calls()


@job
def some():
    three()
    doubled()


@job(config={"ops": {"shows": {"config": {"n": 5}}}})
def with_default():
    shows()


def value(target, node, run_config=None):
    return lambda: target.execute_in_process(run_config=run_config).output_for_node(node)


def scenario():
    merged = config_from_yaml_strings(["ops: {shows: {config: {n: 1}}}", "ops: {shows: {config: {word: merged}}}"])
    return {
        "job": value(mapped, "shows", {"number": 4}),
        "job, wrong": value(mapped, "shows", {"number": "x"}),
        "job, by classes": value(by_classes, "says", {"said": "s"}),
        "graph": value(with_graph, "inner.shows", {"ops": {"inner": {"config": {"m": 6}}}}),
        "graph, wrong": value(with_graph, "inner.shows", {"ops": {"inner": {"config": {}}}}),
        "op": value(some, "three", {"ops": {"doubled": {"config": {"twice": 2}}}}),
        "op by function": value(some, "doubled", {"ops": {"doubled": {"config": {"twice": 2}}}}),
        "op, wrong": value(some, "doubled", {"ops": {"doubled": {"config": {"twice": "x"}}}}),
        "resource": value(called, "calls", {"resources": {"client": {"config": {"host": "h"}}}}),
        "default": value(with_default, "shows"),
        "over the default": value(with_default, "shows", {"ops": {"shows": {"config": {"n": 6}}}}),
        "merged": value(with_default, "shows", merged),
        "valid": lambda: validate_run_config(with_default)["ops"]["shows"]["config"],
        "not valid": lambda: validate_run_config(with_default, {"ops": {"shows": {"config": {"n": "x"}}}}),
    }
