"""A failure on purpose, with its text and metadata; one that is not tried again."""

from dagster import Failure, MetadataValue, RetryPolicy, job, op


@op
def gives_up():
    raise Failure("no such customer", metadata={"id": 7, "why": MetadataValue.md("*gone*")})


@op(retry_policy=RetryPolicy(max_retries=2))
def not_again():
    raise Failure("at once", allow_retries=False)


@op(retry_policy=RetryPolicy(max_retries=1))
def again():
    raise Failure("tried again")


@op
def chained():
    try:
        {}["x"]
    except KeyError as error:
        raise RuntimeError("from a key") from error


@job
def failing():
    gives_up()
    not_again()
    again()
    chained()


def one(name):
    return lambda: failing.execute_in_process(op_selection=[name])


def scenario():
    result = failing.execute_in_process(raise_on_error=False)
    data = result.failure_data_for_node("gives_up")
    return {
        "run": result,
        "description": data.user_failure_data.description,
        "label": data.user_failure_data.label,
        "metadata": {k: v.value for k, v in data.user_failure_data.metadata.items()},
        "chain": result.failure_data_for_node("chained").error.cause.cause.message.strip(),
        "class": result.failure_data_for_node("chained").error.cause.cls_name,
        "succeeded": lambda: result.failure_data_for_node("nothing"),
        **{name: one(name) for name in ("gives_up", "not_again", "again", "chained")},
    }
