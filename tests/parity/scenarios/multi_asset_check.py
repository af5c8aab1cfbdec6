"""@multi_asset_check: all of its checks, a part, one missing, one that blocks."""

import dagster as dg


@dg.asset
def a():
    return 1


@dg.asset
def b(a):
    return a + 1


@dg.multi_asset_check(
    specs=[dg.AssetCheckSpec("one", asset="a"), dg.AssetCheckSpec("two", asset="a", blocking=True)], can_subset=True
)
def checks(context):
    for key in sorted(context.selected_asset_check_keys, key=lambda k: k.name):
        yield dg.AssetCheckResult(asset_key=key.asset_key, check_name=key.name, passed=key.name == "one")


@dg.multi_asset_check(specs=[dg.AssetCheckSpec("here", asset="a"), dg.AssetCheckSpec("gone", asset="b")])
def forgets():
    yield dg.AssetCheckResult(asset_key="a", check_name="here", passed=True)


def scenario():
    one = dg.AssetCheckKey(dg.AssetKey("a"), "one")
    return {
        "blocks": dg.materialize([a, b, checks], raise_on_error=False),
        "part": dg.materialize([a, b, checks], selection=dg.AssetSelection.checks(one)),
        "forgets": dg.materialize([a, b, forgets], raise_on_error=False),
    }
