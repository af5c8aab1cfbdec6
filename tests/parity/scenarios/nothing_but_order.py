"""Inputs and outputs that say only what comes after what."""

from dagster import In, Nothing, Out, job, op

ORDER = []


@op(out=Out(Nothing))
def first():
    ORDER.append("first")


@op(ins={"start": In(Nothing)})
def second(x):
    ORDER.append("second")
    return x


@op(ins={"after": In(Nothing), "also": In(Nothing)})
def third() -> None:
    ORDER.append("third")


@op
def one():
    return 1


@op(ins={"all": In(Nothing)})
def last():
    ORDER.append("last")


@op(out=Out(Nothing))
def gives_something():
    return 5


@job
def ordered():
    begun = first()
    middle = second(one(), start=begun)
    third(after=middle, also=begun)
    last([middle, begun])


@job
def wrong():
    gives_something()


def scenario():
    result = ordered.execute_in_process()
    return {
        "run": result,
        "order": [ORDER.index("first") < ORDER.index("second"), ORDER.index("second") < ORDER.index("third")],
        "wrong": lambda: wrong.execute_in_process(),
        "value": result.output_for_node("second"),
        "no value": lambda: result.output_for_node("third"),
    }
