"""All names at once."""

from dagster import *  # noqa: F403


@op  # noqa: F405
def one():
    return 1


@job  # noqa: F405
def plain():
    one()


def scenario():
    return {"run": plain.execute_in_process(), "names": [In.__name__, RetryPolicy.__name__, Nothing is not None]}  # noqa: F405
