"""What can not work is refused where it is defined."""

from dagster import (
    Backoff,
    Definitions,
    DynamicOut,
    DynamicOutput,
    In,
    RetryPolicy,
    failure_hook,
    graph,
    job,
    op,
)


@op
def one():
    return 1


@op
def add(x, y):
    return x + y


@op(out=DynamicOut())
def pieces():
    yield DynamicOutput(1, "a")


def bad_name():
    @op(name="not a name")
    def it():
        pass


def reserved_name():
    @op(name="context")
    def it():
        pass


def no_parameter():
    @op(ins={"zz": In()})
    def it():
        pass


def bad_schema():
    @op(config_schema={"a": 3})
    def it(context):
        pass


def too_many_inputs():
    @job
    def it():
        add(one(), one(), one())


def unknown_input():
    @job
    def it():
        add(x=one(), z=one())


def not_called():
    @job
    def it():
        add(one, one())


def a_value():
    @job
    def it():
        add(1, one())


def dynamic_not_mapped():
    @job
    def it():
        add(pieces(), one())


def same_alias():
    @job
    def it():
        one.alias("a")()
        one.alias("a")()


def job_returns():
    @job
    def it():
        return one()


def graph_returns_a_value():
    @graph
    def it():
        return 5


def backoff_alone():
    RetryPolicy(backoff=Backoff.LINEAR)


def two_jobs_of_a_name():
    @job(name="same")
    def first():
        one()

    @job(name="same")
    def second():
        add(one(), one.alias("b")())

    Definitions(jobs=[first, second]).get_job_def("same")


def no_such_job():
    Definitions(jobs=[]).get_job_def("nope")


def hook_of_two():
    @failure_hook
    def it(context, more):
        pass


def unused_parameter():
    @graph
    def it(x):
        one()


CASES = [
    *(bad_name, reserved_name, no_parameter, bad_schema, too_many_inputs, unknown_input, not_called, a_value),
    *(dynamic_not_mapped, same_alias, job_returns, graph_returns_a_value, backoff_alone, two_jobs_of_a_name),
    *(hook_of_two, unused_parameter),
]


def scenario():
    return {case.__name__: case for case in CASES}
