"""A policy runs a failed op again, up to its number."""

from dagster import RetryPolicy, job, op


@op(retry_policy=RetryPolicy(max_retries=3))
def flaky(context):
    if context.retry_number < 2:
        raise ValueError("again")
    return context.retry_number


@op(retry_policy=RetryPolicy(max_retries=1))
def hopeless():
    raise ValueError("never")


@op
def plain():
    raise ValueError("the job's policy")


@job
def works():
    flaky()


@job(op_retry_policy=RetryPolicy(max_retries=2))
def fails():
    hopeless()
    plain()
    plain.alias("its_own").with_retry_policy(RetryPolicy(max_retries=0))()


def scenario():
    good, bad = works.execute_in_process(), fails.execute_in_process(raise_on_error=False)
    return {
        "good": good,
        "bad": bad,
        "retries": good.retry_attempts_for_node("flaky"),
        "value": good.output_for_node("flaky"),
        "raised": lambda: fails.execute_in_process(),
    }
