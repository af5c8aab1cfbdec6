"""Hooks of one use of an op, and of all ops in a graph."""

from dagster import graph, job, op, success_hook

HEARD = []


@success_hook
def outer(context):
    HEARD.append(f"outer {context.step_key}")


@success_hook
def inner(context):
    HEARD.append(f"inner {context.step_key}")


@op
def one():
    return 1


@op
def add(x):
    return x + 1


@graph
def pair():
    add(one.with_hooks({inner})())


@job
def plain():
    pair.with_hooks({outer})()
    one()


@outer
@job
def decorated():
    add.with_hooks({inner}).alias("last")(one())


def scenario():
    first = plain.execute_in_process()
    heard, HEARD[:] = list(HEARD), []
    second = decorated.execute_in_process()
    return {"graph": first, "heard": sorted(heard), "job": second, "heard again": sorted(HEARD)}
