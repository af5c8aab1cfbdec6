"""What an asset's context says."""

import dagster as dg

SEEN = {}


@dg.asset(key_prefix="p", tags={"t": "x"}, group_name="g")
def one(context: dg.AssetExecutionContext):
    context.add_output_metadata({"rows": 1})
    context.add_asset_metadata({"more": 2})
    SEEN["one"] = [
        context.asset_key.to_user_string(),
        context.asset_key_for_output().to_user_string(),
        context.has_assets_def,
        sorted(k.to_user_string() for k in context.selected_asset_keys),
        sorted(context.selected_output_names),
        context.is_subset,
        context.has_partition_key,
        context.job_name,
        context.op_execution_context.op_def.name,
        context.assets_def.group_names_by_key[context.asset_key],
        context.retry_number,
        context.has_tag("k"),
        context.get_tag("k"),
        type(context).__name__,
    ]
    context.log.info("said")
    return 1


@dg.asset
def two(context: dg.OpExecutionContext, one):
    SEEN["two"] = [type(context).__name__, context.op_def.name]
    return one


@dg.multi_asset(outs={"x": dg.AssetOut(is_required=False), "y": dg.AssetOut(is_required=False)}, can_subset=True)
def several(context):
    SEEN["several"] = [
        sorted(k.to_user_string() for k in context.selected_asset_keys),
        sorted(context.selected_output_names),
        context.is_subset,
        context.asset_key_for_output("x").to_user_string(),
        context.output_for_asset_key(dg.AssetKey("y")),
    ]
    try:
        SEEN["several"].append(context.asset_key.to_user_string())
    except dg.DagsterInvariantViolationError:
        SEEN["several"].append("no one key")
    for name in context.selected_output_names:
        yield dg.Output(1, name)


@dg.asset(ins={"o": dg.AssetIn(["p", "one"])})
def takes(context, o):
    SEEN["takes"] = context.asset_key_for_input("o").to_user_string()
    context.log_event(dg.AssetObservation("seen", metadata={"m": 1}))
    yield dg.AssetMaterialization("other", description="made too")
    yield dg.Output(o)


@dg.asset_check(asset=["p", "one"])
def check(context):
    SEEN["check"] = [type(context).__name__, [s.name for s in context.check_specs]]
    return dg.AssetCheckResult(passed=True)


def scenario():
    SEEN.clear()
    assets = [one, several, takes, check]
    result = dg.materialize(assets, tags={"k": "v"})
    whole = dict(SEEN)
    dg.materialize(assets, selection=["y"])
    op = dg.asset(name="two")(lambda context: 1)
    said = result.asset_materializations_for_node("p__one")[0]
    return {
        "run": result,
        "whole": whole,
        "part": SEEN["several"],
        "labels": sorted(said.metadata),
        "others": [m.label for m in result.asset_materializations_for_node("takes")],
        "observed": [o.asset_key.to_user_string() for o in result.asset_observations_for_node("takes")],
        "with another name": op.key.to_user_string(),
    }
