"""A mapped step that is tried again, and one that is skipped."""

from dagster import DynamicOut, DynamicOutput, Out, Output, RetryPolicy, job, op


@op(out=DynamicOut())
def pieces():
    for i in range(3):
        yield DynamicOutput(i, mapping_key=f"n{i}")


@op(retry_policy=RetryPolicy(max_retries=1))
def flaky(context, x):
    if x == 1 and context.retry_number == 0:
        raise ValueError("once")
    return x


@op(out=Out(is_required=False))
def odd_only(x):
    if x % 2:
        yield Output(x)


@op
def plus_one(x):
    return x + 1


@op
def total(xs):
    return sum(xs)


@job
def retried():
    total(pieces().map(flaky).collect())


@job
def skipped():
    total(pieces().map(lambda x: plus_one(odd_only(x))).collect())


def scenario():
    result, partly = retried.execute_in_process(), skipped.execute_in_process()
    return {
        "retried": result,
        "total": result.output_for_node("total"),
        "skipped": partly,
        "partial total": partly.output_for_node("total"),
    }
