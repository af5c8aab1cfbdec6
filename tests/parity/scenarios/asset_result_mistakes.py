"""Results that name no asset, the wrong one, or come from functions that are not of assets."""

import dagster as dg


@dg.multi_asset(specs=[dg.AssetSpec("a"), dg.AssetSpec("b")])
def two():
    yield dg.MaterializeResult()


@dg.asset
def wrong():
    return dg.MaterializeResult(asset_key="another")


@dg.asset
def unknown_check():
    yield dg.Output(1)
    yield dg.AssetCheckResult(check_name="nobody", passed=True)


@dg.asset(check_specs=[dg.AssetCheckSpec("ok", asset="forgets")])
def forgets():
    yield dg.Output(1)


@dg.asset
def returns_two():
    yield dg.Output(1)
    yield dg.Output(2)


def scenario():
    return {f.__name__: dg.materialize([f], raise_on_error=False) for f in []} | {
        name: dg.materialize([definition], raise_on_error=False)
        for name, definition in {
            "two": two,
            "wrong": wrong,
            "unknown_check": unknown_check,
            "forgets": forgets,
            "returns_two": returns_two,
        }.items()
    }
