"""@multi_asset with outs: returned as a tuple, yielded, in part, with dependencies inside."""

import dagster as dg


@dg.multi_asset(outs={"first": dg.AssetOut(), "second": dg.AssetOut(key_prefix="deep")})
def both():
    return 1, 2


@dg.multi_asset(
    outs={"low": dg.AssetOut(is_required=False), "high": dg.AssetOut(is_required=False)},
    can_subset=True,
    internal_asset_deps={"high": {dg.AssetKey("low"), dg.AssetKey("first")}, "low": {dg.AssetKey("first")}},
)
def some(context, first):
    for name in sorted(context.selected_output_names, reverse=True):
        yield dg.Output(first + len(name), name)


@dg.multi_asset(
    outs={"m": dg.AssetOut(), "n": dg.AssetOut()}, internal_asset_deps={"n": {dg.AssetKey("m")}, "m": set()}
)
def in_the_wrong_order():
    yield dg.Output(1, "n")
    yield dg.Output(2, "m")


@dg.asset
def above(high):
    return high


def scenario():
    assets = [both, some, above]
    kept = dg.DagsterInstance.ephemeral()
    whole = dg.materialize(assets, instance=kept)
    part = dg.materialize(assets, instance=kept, selection=["low"])
    lower = dg.materialize(assets, instance=kept, selection='key:"high" or key:"above"')
    return {
        "whole": whole,
        "deep": whole.asset_value(["deep", "second"]),
        "part": part,
        "low": part.asset_value("low"),
        "lower": lower,
        "half of what makes all": lambda: dg.materialize(assets, selection=["first"]),
        "in the wrong order": dg.materialize([in_the_wrong_order], raise_on_error=False),
        "deps": {k.to_user_string(): sorted(d.to_user_string() for d in v) for k, v in some.asset_deps.items()},
    }
