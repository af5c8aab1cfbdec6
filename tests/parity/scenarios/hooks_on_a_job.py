"""Hooks of a job are called after each of its steps, and say what they did."""

from dagster import DynamicOut, DynamicOutput, Failure, Out, RetryPolicy, failure_hook, job, op, success_hook

HEARD = []


@success_hook
def on_success(context):
    HEARD.append((context.step_key, context.op.name, context.op_output_values, context.op_exception))


@failure_hook(name="on_failure")
def heard_of_failure(context):
    HEARD.append((context.step_key, context.hook_def.name, type(context.op_exception).__name__))


@success_hook
def breaks(context):
    raise ValueError("hooks may fail")


@op(out={"a": Out(), "b": Out()})
def two():
    return 1, 2


@op(out=DynamicOut())
def pieces():
    yield DynamicOutput(1, "x")


@op
def each(x):
    return x


@op(retry_policy=RetryPolicy(max_retries=1))
def fails():
    raise KeyError("fails")


@op
def gives_up():
    raise Failure("no")


@job(hooks={on_success, heard_of_failure, breaks})
def hooked():
    two()
    pieces().map(each)
    fails.alias("other_name")()
    gives_up()


def scenario():
    result = hooked.execute_in_process(raise_on_error=False)
    return {"run": result, "heard": sorted(HEARD, key=str)}
