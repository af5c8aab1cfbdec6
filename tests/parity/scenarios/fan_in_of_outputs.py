"""A list of outputs is one input; what was skipped is left out of it."""

from dagster import Out, Output, job, op


@op
def one():
    return 1


@op(out=Out(is_required=False))
def maybe(context):
    if context.run.job_name == "all_there":
        yield Output(2)


@op
def total(numbers):
    return sum(numbers)


@job
def all_there():
    total([one(), one.alias("uno")(), maybe()])


@job
def one_missing():
    total([one(), maybe.alias("never")()])


@job
def all_missing():
    total([maybe.alias("never")(), maybe.alias("nowhere")()])


def scenario():
    missing, nothing = one_missing.execute_in_process(), all_missing.execute_in_process()
    return {
        "all": all_there.execute_in_process().output_for_node("total"),
        "missing": missing,
        "missing total": missing.output_for_node("total"),
        "nothing": nothing,
        "total is skipped": nothing.is_node_skipped("total"),
    }
