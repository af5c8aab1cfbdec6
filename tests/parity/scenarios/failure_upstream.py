"""What comes after a failure does not run; what does not depend on it does."""

from dagster import job, op


@op
def fails():
    raise ValueError("no")


@op
def needs(x):
    return x


@op
def other():
    return 7


@job
def partly():
    needs(fails())
    other()


def scenario():
    result = partly.execute_in_process(raise_on_error=False)
    return {
        "run": result,
        "raised": lambda: partly.execute_in_process(),
        "no output": lambda: result.output_for_node("needs"),
        "untouched": result.is_node_untouched("needs"),
        "other": result.output_for_node("other"),
        "message": result.failure_data_for_node("fails").error.cause.message.strip(),
    }
