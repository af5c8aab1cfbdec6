"""Contexts that tests make: of ops, of resources."""

from dagster import build_init_resource_context, build_op_context, build_resources, op, resource

OPENED = []


@resource(config_schema={"n": int})
def number(context):
    return context.resource_config["n"]


@resource(required_resource_keys={"number"})
def twice(context):
    OPENED.append("open")
    yield 2 * context.resources.number
    OPENED.append("closed")


@op(required_resource_keys={"twice"}, config_schema={"plus": int})
def add(context, x):
    return context.resources.twice + context.op_config["plus"] + x


@op
def mapped(context):
    return context.get_mapping_key(), context.has_tag("a"), context.get_tag("b"), context.run_id


def with_resources():
    with build_resources(
        {"number": number, "twice": twice, "plain": "p"}, resource_config={"number": {"config": {"n": 4}}}
    ) as resources:
        return resources.twice, resources.plain, list(OPENED)


def with_context():
    context = build_op_context(
        resources={"number": number, "twice": twice},
        resources_config={"number": {"config": {"n": 5}}},
        op_config={"plus": 1},
    )
    return add(context, 2)


def init():
    context = build_init_resource_context(config={"n": 7})
    return number(context), context.replace_config({"n": 8}).resource_config


def init_with_resources():
    with build_init_resource_context(resources={"number": 3}) as context, twice(context) as opened:
        return opened


def scenario():
    return {
        "resources": with_resources(),
        "opened": list(OPENED),
        "called": lambda: with_context(),
        "mapped": mapped(build_op_context(mapping_key="k", run_tags={"b": "c"})),
        "init": init(),
        "init with": init_with_resources(),
        "missing": lambda: build_resources({"twice": twice}).__enter__(),
        "bad config": lambda: build_resources({"number": number}, resource_config={"number": {"n": "x"}}).__enter__(),
        "no context": lambda: add(3),
    }
