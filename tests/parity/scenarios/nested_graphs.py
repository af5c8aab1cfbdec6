"""Graphs in graphs, with inputs and outputs of their own; one is run by itself."""

from dagster import GraphIn, GraphOut, Out, graph, job, op


@op
def one():
    return 1


@op
def add(x, y):
    return x + y


@op(out={"small": Out(), "large": Out()})
def split(x):
    return x - 1, x + 1


@graph(
    ins={"x": GraphIn(description="what is added to")}, out={"low": GraphOut(description="less"), "high": GraphOut()}
)
def around(x):
    small, large = split(add(x, one()))
    return {"low": small, "high": large}


@graph
def twice(x):
    low, high = around(x)
    again, _ = around.alias("second")(high)
    return add(low, again)


@job
def nested():
    add(twice(one()), one.alias("uno")())


def scenario():
    result = nested.execute_in_process()
    alone = around.execute_in_process(input_values={"x": 10})
    return {
        "run": result,
        "value": result.output_for_node("add"),
        "inner": result.output_for_node("twice.second", "high"),
        "of a graph": result.output_for_node("twice"),
        "alone": alone,
        "outputs": [alone.output_value("low"), alone.output_value("high")],
        "no such output": lambda: alone.output_value("middle"),
        "no such node": lambda: result.output_for_node("twice.third"),
        "no input": lambda: around.execute_in_process(),
    }
