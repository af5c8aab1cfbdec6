"""@graph_asset and @graph_multi_asset: step keys of their ops, inputs from assets, values."""

import dagster as dg


@dg.op
def add(x):
    return x + 1


@dg.op(out={"one": dg.Out(), "two": dg.Out()})
def split(x):
    return x, -x


@dg.op
def _number():
    return 41


@dg.asset
def start():
    return 1


@dg.graph_asset(key_prefix="deep", group_name="g")
def raised(start):
    return add(add(start))


@dg.graph_asset
def constant():
    return add.alias("only")(_number())


@dg.graph_multi_asset(outs={"plus": dg.AssetOut(), "minus": dg.AssetOut(key="negative")}, group_name="g")
def two(start):
    one, other = split(start)
    return {"plus": one, "minus": other}


@dg.asset(ins={"raised": dg.AssetIn(key_prefix="deep")})
def last(raised, negative):
    return raised + negative


def scenario():
    assets = [start, raised, constant, two, last]
    kept = dg.DagsterInstance.ephemeral()
    result = dg.materialize(assets, instance=kept)
    again = dg.materialize(assets, instance=kept, selection=["deep/raised"])
    return {
        "run": result,
        "last": result.asset_value("last"),
        "constant": result.asset_value("constant"),
        "negative": result.asset_value("negative"),
        "again": again,
        "again value": again.asset_value(["deep", "raised"]),
        "groups": sorted({*raised.group_names_by_key.values(), *two.group_names_by_key.values()}),
    }
