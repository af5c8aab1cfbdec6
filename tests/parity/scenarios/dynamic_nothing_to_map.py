"""A dynamic output without values: mapped steps do not exist, the collector gets an empty list."""

from dagster import DynamicOut, DynamicOutput, job, op


@op(out=DynamicOut(is_required=False))
def pieces():
    if False:
        yield DynamicOutput(0, "never")


@op
def square(x):
    return x * x


@op
def count(xs):
    return len(xs)


@job
def squares():
    count(pieces().map(square).collect())


def scenario():
    result = squares.execute_in_process()
    return {"run": result, "count": lambda: result.output_for_node("count")}
