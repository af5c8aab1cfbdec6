"""Contexts of tests in ``with`` blocks: what they opened is open inside, and closed after."""

from dagster import (
    IOManager,
    asset,
    build_hook_context,
    build_input_context,
    build_op_context,
    build_output_context,
    op,
    resource,
    success_hook,
)

SAID = []


@resource
def connection():
    SAID.append("opened")
    yield "connection"
    SAID.append("closed")


@op(required_resource_keys={"db", "plain"})
def reads(context):
    SAID.append(context.resources.db)
    return context.resources.plain


@asset(required_resource_keys={"db"})
def table(context):
    return context.resources.db


class Keeps(IOManager):
    def handle_output(self, context, obj):
        SAID.append(["kept", obj, context.resources.db, context.has_asset_key, dict(context.definition_metadata)])

    def load_input(self, context):
        return [context.resources.db, context.upstream_output.name, context.asset_key.to_user_string()]


@success_hook(required_resource_keys={"db"})
def tells(context):
    SAID.append(["hook", context.resources.db])


def told(block):
    SAID.clear()
    found = block()
    return [found, list(SAID)]


def twice_in_a_block():
    with build_op_context(resources={"db": connection, "plain": "p"}) as context:
        SAID.append(context.resources.db)
        return [reads(context), reads(context)]


def an_asset():
    with build_op_context(resources={"db": connection}) as context:
        return table(context)


def kept():
    with build_output_context(
        step_key="a", run_id="r", asset_key="t", definition_metadata={"x": 1}, resources={"db": connection}
    ) as context:
        return Keeps().handle_output(context, 5)


def loaded():
    upstream = build_output_context(step_key="a", name="out", run_id="r")
    with build_input_context(upstream_output=upstream, asset_key=["t", "u"], resources={"db": connection}) as context:
        return Keeps().load_input(context)


def hook():
    with build_hook_context(resources={"db": connection}) as context:
        tells(context)


def scenario():
    return {
        "plain outside": build_op_context(resources={"plain": "p"}).resources.plain,
        "op": told(twice_in_a_block),
        "asset": told(an_asset),
        "kept": told(kept),
        "loaded": told(loaded),
        "hook": told(hook),
    }
