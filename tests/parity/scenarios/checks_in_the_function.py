"""Checks that an asset's own function evaluates; a blocking one fails the step after all was told."""

import dagster as dg


@dg.asset(
    check_specs=[
        dg.AssetCheckSpec("nulls", asset="table", description="no nulls"),
        dg.AssetCheckSpec("rows", asset="table", blocking=True),
    ]
)
def table():
    yield dg.Output(3)
    yield dg.AssetCheckResult(check_name="rows", passed=False, metadata={"n": 3}, description="too few")
    yield dg.AssetCheckResult(check_name="nulls", passed=True)


@dg.asset
def report(table):
    return table


@dg.asset(check_specs=[dg.AssetCheckSpec("warned", asset="warns", blocking=True)])
def warns():
    return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN)])


@dg.multi_asset(
    specs=[dg.AssetSpec("x"), dg.AssetSpec("y")],
    check_specs=[dg.AssetCheckSpec("same", asset="x"), dg.AssetCheckSpec("same", asset="y")],
)
def pair():
    yield dg.MaterializeResult(
        asset_key="x", check_results=[dg.AssetCheckResult(asset_key="x", check_name="same", passed=True)]
    )
    yield dg.MaterializeResult(asset_key="y")
    yield dg.AssetCheckResult(asset_key="y", check_name="same", passed=False)


def seen(result):
    return [
        (e.asset_key.to_user_string(), e.check_name, e.passed, e.severity.value, e.description, sorted(e.metadata))
        for e in result.get_asset_check_evaluations()
    ]


def scenario():
    blocked = dg.materialize([table, report], raise_on_error=False)
    warned = dg.materialize([warns])
    paired = dg.materialize([pair])
    return {
        "blocked": blocked,
        "blocked checks": seen(blocked),
        "warned": warned,
        "warned checks": seen(warned),
        "paired": paired,
        "paired checks": seen(paired),
        "raised": lambda: dg.materialize([table]),
    }
