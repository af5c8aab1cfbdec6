"""Ops called outside a job."""

from dagster import DynamicOut, DynamicOutput, In, Nothing, Out, Output, build_op_context, op, resource


@op
def add(x, y=2):
    return x + y


@op
def with_context(context, x):
    context.log.info("called")
    return x + context.op_config["n"]


@op(required_resource_keys={"r"})
def with_resource(context):
    return context.resources.r


@op(out={"a": Out(), "b": Out()})
def two():
    return 1, 2


@op
def gives_output():
    return Output(1, metadata={"a": 1})


@op(out=DynamicOut())
def pieces():
    yield DynamicOutput(1, "a")
    yield DynamicOutput(2, "b")


@op(ins={"start": In(Nothing)})
def after(x):
    return x


@resource
def r():
    yield "opened"


def scenario():
    return {
        "plain": [add(1), add(1, 3), add(x=1, y=4), add(1, y=5)],
        "context": lambda: with_context(build_op_context(op_config={"n": 1}), 2),
        "resource": lambda: with_resource(build_op_context(resources={"r": r})),
        "two": two(),
        "output": [gives_output().value, "a" in gives_output().metadata],
        "pieces": [[o.value, o.mapping_key] for o in pieces()],
        "after nothing": after(3),
        "too many": lambda: add(1, 2, 3),
        "missing": lambda: add(),
        "unknown": lambda: add(1, z=2),
        "no context": lambda: with_context(1),
        "no resource": lambda: with_resource(build_op_context()),
    }
