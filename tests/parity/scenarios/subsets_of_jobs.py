"""Parts of a job: what is cut off is not in the result, failures of others do not matter."""

from dagster import job, op


@op
def fails():
    raise ValueError("not selected")


@op
def one():
    return 1


@op
def add(x, y=10):
    return x + y


@op
def fan(xs):
    return list(xs)


@job
def whole():
    x = one()
    fails()
    add(x)
    fan([x, add.alias("second")(x)])


def scenario():
    result = whole.execute_in_process(op_selection=["one", "add"])
    return {
        "run": result,
        "value": result.output_for_node("add"),
        "untouched": lambda: result.is_node_untouched("fails"),
        "fan in of a part": whole.execute_in_process(op_selection=["*fan"]).output_for_node("fan"),
        "fan in of one": lambda: whole.execute_in_process(op_selection=["one", "fan"]).output_for_node("fan"),
        "job still fails": lambda: whole.execute_in_process(),
    }
