"""A job of a graph: its name, tags, config, resources, retries, inputs."""

from dagster import GraphDefinition, RetryPolicy, graph, op, resource


@op(required_resource_keys={"base"}, config_schema={"n": int})
def compute(context, x):
    return context.resources.base + context.op_config["n"] + x


@op
def flaky(context):
    if context.retry_number < 1:
        raise ValueError("again")
    return context.retry_number


@graph(tags={"of": "graph"})
def work(x):
    compute(x)
    flaky()


@resource
def base():
    return 100


made = work.to_job(
    name="made",
    description="a job",
    resource_defs={"base": base},
    tags={"a": "b"},
    op_retry_policy=RetryPolicy(max_retries=1),
    input_values={"x": 1},
)


RUN_CONFIG = {"ops": {"compute": {"config": {"n": 10}}}}


def scenario():
    result = made.execute_in_process(run_config=RUN_CONFIG)
    return {
        "run": result,
        "value": result.output_for_node("compute"),
        "other input": made.execute_in_process(run_config=RUN_CONFIG, input_values={"x": 2}).output_for_node("compute"),
        "retried": result.output_for_node("flaky"),
        "name": made.name,
        "description": made.description,
        "tags": dict(made.tags),
        "run tags": {k: v for k, v in result.dagster_run.tags.items() if not k.startswith((".", "dagster/"))},
        "is a graph": isinstance(work, GraphDefinition),
        "unknown input": lambda: work.to_job(input_values={"y": 1}),
        "missing resource": lambda: work.to_job().execute_in_process(run_config=RUN_CONFIG, input_values={"x": 1}),
    }
