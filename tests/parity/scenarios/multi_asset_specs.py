"""@multi_asset with specs: nothing returned, results, one left out, a part."""

import dagster as dg


@dg.multi_asset(specs=[dg.AssetSpec("a"), dg.AssetSpec("b", deps=["a"])])
def says_nothing():
    pass


@dg.multi_asset(specs=[dg.AssetSpec("c", deps=["a"]), dg.AssetSpec("d", skippable=True)])
def leaves_one():
    yield dg.MaterializeResult(asset_key="c", metadata={"n": 1})


@dg.multi_asset(specs=[dg.AssetSpec("e", deps=["c"]), dg.AssetSpec("f", deps=["d"])], can_subset=True)
def in_parts(context):
    for key in sorted(context.selected_asset_keys, key=str):
        yield dg.MaterializeResult(asset_key=key)


@dg.multi_asset(specs=[dg.AssetSpec("g"), dg.AssetSpec("h")])
def as_tuple():
    return dg.MaterializeResult(asset_key="g"), dg.MaterializeResult(asset_key="h")


@dg.asset(deps=["d"])
def after_what_is_left_out() -> None:
    pass


def scenario():
    assets = [says_nothing, leaves_one, in_parts, as_tuple, after_what_is_left_out]
    return {
        "whole": dg.materialize(assets),
        "part": dg.materialize(assets, selection=["f"]),
        "keys": sorted(k.to_user_string() for k in in_parts.keys),
        "step": in_parts.op.name,
    }
