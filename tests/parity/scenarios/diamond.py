"""Two branches meet again."""

from dagster import job, op


@op
def start():
    return 1


@op
def left(x):
    return x + 1


@op
def right(x):
    return x + 2


@op
def both(x, y):
    return x + y


@job
def diamond():
    x = start()
    both(left(x), right(x))


def scenario():
    result = diamond.execute_in_process()
    return {"run": result, "sum": result.output_for_node("both"), "left": result.output_for_node("left")}
