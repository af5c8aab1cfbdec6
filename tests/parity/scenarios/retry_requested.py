"""An op asks to be run again."""

from dagster import RetryRequested, job, op


@op
def third_time(context):
    if context.retry_number < 2:
        raise RetryRequested(max_retries=2)
    return "done"


@op
def once_too_often():
    raise RetryRequested(max_retries=1) from ValueError("why")


@job
def works():
    third_time()


@job
def fails():
    once_too_often()


def scenario():
    return {
        "good": works.execute_in_process(),
        "bad": fails.execute_in_process(raise_on_error=False),
        "raised": lambda: fails.execute_in_process(),
    }
