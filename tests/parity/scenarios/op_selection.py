"""Which ops a selection means; what it cuts off needs a value."""

from dagster import graph, job, op


@op
def a():
    return 1


@op
def b(x):
    return x + 1


@op
def c(x):
    return x + 1


@op
def d(x):
    return x + 1


@graph
def inner(x):
    return c(b(x))


@job
def nested():
    d(inner(a()))


QUERIES = [
    *(["a"], ["*"], ["*d"], ["a*"], ["*a*"], ["a++"], ["++d"], ["+inner"], ["inner"], ["d"], ["a", "d"], ["a+"]),
    *(["a+*"], ["*+d"], ["nope"], ["a", "nope"], ["a,d"], ["1+d"], [], ["inner.c"]),
]
RUN_CONFIG = {"ops": {"d": {"inputs": {"x": {"value": 5}}}}}


def steps(query, run_config=None):
    result = nested.execute_in_process(op_selection=query, run_config=run_config)
    return sorted({e.step_key for e in result.all_events if e.step_key})


def tried(query):
    return lambda: steps(query)


def scenario():
    return {
        **{f"select {' '.join(query) or 'nothing'}": tried(query) for query in QUERIES},
        "with a value": steps(["d"], RUN_CONFIG),
    }
