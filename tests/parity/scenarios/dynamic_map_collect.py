"""A dynamic output is mapped and collected."""

from dagster import DynamicOut, DynamicOutput, job, op


@op(out=DynamicOut())
def pieces():
    for i in range(3):
        yield DynamicOutput(i, mapping_key=f"n{i}")


@op
def square(x):
    return x * x


@op
def total(xs):
    return sum(xs)


@job
def squares():
    total(pieces().map(square).collect())


def scenario():
    result = squares.execute_in_process()
    return {
        "run": result,
        "pieces": result.output_for_node("pieces"),
        "squares": result.output_for_node("square"),
        "total": result.output_for_node("total"),
    }
