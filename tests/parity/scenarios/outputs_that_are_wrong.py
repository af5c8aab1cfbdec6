"""Outputs that are not declared, missing, given twice, of another kind."""

from dagster import DynamicOut, DynamicOutput, Out, Output, job, op


@op(out={"a": Out(), "b": Out()})
def forgets():
    yield Output(1, "a")


@op(out={"a": Out(), "b": Out()})
def returns_one():
    return 1


@op(out={"a": Out(), "b": Out()})
def returns_three():
    return 1, 2, 3


@op
def unknown():
    yield Output(1, "zz")


@op
def twice():
    yield Output(1)
    yield Output(2)


@op
def bare():
    yield 5


@op(out=DynamicOut())
def same_key():
    yield DynamicOutput(1, "k")
    yield DynamicOutput(2, "k")


@op(out=DynamicOut())
def not_dynamic():
    yield Output(1)


@op
def dynamic():
    yield DynamicOutput(1, "k")


@op(out=DynamicOut())
def returns_no_list():
    return 1


@op(out={"a": Out(), "b": Out(is_required=False)})
def may_leave_out():
    yield Output(1, "a")


@op
def returns_nothing():
    pass


WRONG = [forgets, returns_one, returns_three, unknown, twice, bare, same_key, not_dynamic, dynamic, returns_no_list]


def job_of(definition):
    @job(name=f"job_of_{definition.name}")
    def one():
        definition()

    return one


def run(definition):
    return lambda: job_of(definition).execute_in_process()


def scenario():
    return {
        **{d.name: run(d) for d in WRONG},
        "may leave out": job_of(may_leave_out).execute_in_process(),
        "nothing": job_of(returns_nothing).execute_in_process().output_for_node("returns_nothing"),
        "bad key": lambda: DynamicOutput(1, "not-a-key"),
    }
