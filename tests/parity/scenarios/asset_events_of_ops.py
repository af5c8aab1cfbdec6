"""Ops that say what they made and saw, in a job that has no assets."""

import dagster as dg


@dg.op
def says(context):
    context.log_event(dg.AssetMaterialization(asset_key="logged", partition="p"))
    yield dg.AssetMaterialization(["x", "y"], description="hello", metadata={"k": 1}, tags={"t": "u"})
    yield dg.AssetObservation("seen", metadata={"k": 2}, description="why")
    yield dg.Output(1)


@dg.op
def logs_and_fails(context):
    context.log_event(dg.AssetMaterialization("before"))
    raise ValueError("no")


@dg.op
def gives_a_result():
    return dg.MaterializeResult(asset_key="a")


@dg.job
def talking():
    says()


@dg.job
def failing():
    logs_and_fails()


def scenario():
    result = talking.execute_in_process()
    made = result.asset_materializations_for_node("says")
    return {
        "run": result,
        "labels": [m.label for m in made],
        "descriptions": [m.description for m in made],
        "partitions": [m.partition for m in made],
        "tags": [dict(m.tags or {}) for m in made],
        "seen": [o.description for o in result.asset_observations_for_node("says")],
        "failing": failing.execute_in_process(raise_on_error=False),
    }
