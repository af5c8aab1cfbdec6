"""One of the mapped steps fails: the others run, the collector does not."""

from dagster import DynamicOut, DynamicOutput, job, op


@op(out=DynamicOut())
def pieces():
    for i in range(3):
        yield DynamicOutput(i, mapping_key=f"n{i}")


@op
def inverse(x):
    return 1 / x


@op
def total(xs):
    return sum(xs)


@job
def inverses():
    total(pieces().map(inverse).collect())


def scenario():
    result = inverses.execute_in_process(raise_on_error=False)
    return {
        "run": result,
        "failed": result.get_failed_step_keys(),
        "raised": lambda: inverses.execute_in_process(),
        "one failed": result.is_node_failed("inverse"),
        "untouched": result.is_node_untouched("total"),
    }
