"""What an op's context tells."""

from dagster import graph, job, op


@op(config_schema={"n": int}, tags={"kind": "test"}, required_resource_keys={"r"})
def tells(context):
    return [
        context.op_config["n"],
        context.run.job_name,
        context.job_name,
        context.job_def.name,
        context.run_id == context.run.run_id == context.dagster_run.run_id,
        context.retry_number,
        context.op.name,
        context.op_def.name,
        str(context.op_handle),
        context.op_handle.name,
        context.has_tag("a"),
        context.get_tag("a"),
        context.get_tag("b"),
        context.run_tags["a"],
        context.get_mapping_key(),
        context.resources.r,
        context.run_config["ops"]["inner"]["ops"]["alias"]["config"]["n"],
        sorted(context.selected_output_names),
        context.has_partition_key,
        context.op_execution_context is context,
        context.describe_op(),
        context.get_output_metadata("result"),
    ]


@op
def asks_for_partition(context):
    return context.partition_key


@op
def adds_twice(context):
    context.add_output_metadata({"a": 1})
    return context.get_output_metadata("result")


@op
def adds_to_nothing(context):
    context.add_output_metadata({"a": 1}, output_name="zz")


@graph
def inner():
    return tells.alias("alias")()


@job(tags={"a": "tag"}, resource_defs={})
def told():
    inner()


@job
def others():
    adds_twice()


@job
def wrong():
    adds_to_nothing()
    asks_for_partition()


def scenario():
    run_config = {"ops": {"inner": {"ops": {"alias": {"config": {"n": 3}}}}}}
    result = told.execute_in_process(run_config=run_config, resources={"r": "resource"})
    return {
        "told": dict(enumerate(result.output_for_node("inner.alias"))),
        "added": others.execute_in_process().output_for_node("adds_twice"),
        "to nothing": lambda: wrong.execute_in_process(op_selection=["adds_to_nothing"]),
        "no partition": wrong.execute_in_process(op_selection=["asks_for_partition"], raise_on_error=False),
    }
