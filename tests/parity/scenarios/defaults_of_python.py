"""Defaults of parameters, keyword-only parameters, arguments without names."""

from dagster import In, job, op


@op
def with_default(x=5, *, word="w"):
    return f"{x} {word}"


@op(ins={"x": In(default_value=7)})
def by_declaration(x):
    return x


@op(ins={"a": In(), "b": In(int)})
def takes_any(**kwargs):
    return sorted(kwargs.items())


@op
def one():
    return 1


@job
def all_of_them():
    with_default()
    with_default.alias("given")(one())
    by_declaration()
    takes_any(a=one.alias("first")(), b=one.alias("second")())


def scenario():
    result = all_of_them.execute_in_process()
    return {
        "run": result,
        "values": [result.output_for_node(n) for n in ("with_default", "given", "by_declaration", "takes_any")],
        "called": [with_default(), with_default(1), by_declaration()],
    }
