"""Ops that yield, ops that are awaited."""

import asyncio

from dagster import DynamicOut, DynamicOutput, Out, Output, job, op


@op
def yields():
    yield Output(1)


@op(out={"a": Out(), "b": Out(is_required=False)})
def some():
    yield Output(1, "a")
    yield Output(2, "b")


@op
async def awaited():
    await asyncio.sleep(0)
    return "awaited"


@op(out={"x": Out(), "y": Out()})
async def asks():
    yield Output(1, "x")
    await asyncio.sleep(0)
    yield Output(2, "y")


@op(out=DynamicOut())
async def pieces():
    for i in range(2):
        yield DynamicOutput(i, mapping_key=f"k{i}")


@op
async def fails():
    await asyncio.sleep(0)
    raise ValueError("awaited in vain")


@op
def after_yield():
    yield Output(1)
    raise ValueError("after its output")


@op
def each(x):
    return x


@job
def all_of_them():
    yields()
    some()
    awaited()
    asks()
    pieces().map(each)


@job
def failing():
    fails()
    after_yield()


def scenario():
    result = all_of_them.execute_in_process()
    return {
        "run": result,
        "values": [
            result.output_for_node("yields"),
            result.output_for_node("some", "b"),
            result.output_for_node("awaited"),
            result.output_for_node("asks", "y"),
            result.output_for_node("each"),
        ],
        "failing": failing.execute_in_process(raise_on_error=False),
        "called": [o.value for o in some()],
        "awaited here": asyncio.run(awaited()),
    }
