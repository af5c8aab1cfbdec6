"""@asset_check: with and without the value, blocking or not, with other assets, selected alone or left out."""

import dagster as dg


@dg.asset
def orders():
    return [1, 2, 3]


@dg.asset
def customers():
    return [1]


@dg.asset
def joined(orders, customers):
    return len(orders) * len(customers)


@dg.asset(deps=[orders])
def exported() -> None:
    pass


@dg.asset_check(asset=orders, blocking=True, description="there are some")
def some_orders(orders):
    return dg.AssetCheckResult(passed=len(orders) > 5, metadata={"n": len(orders)})


@dg.asset_check(asset="orders")
def without_value():
    return dg.AssetCheckResult(passed=True)


@dg.asset_check(asset=customers, additional_ins={"orders": dg.AssetIn("orders")}, name="fits")
def whatever(customers, orders):
    return dg.AssetCheckResult(passed=len(customers) < len(orders))


@dg.asset_check(asset=orders, blocking=True)
def only_warns(orders):
    return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN)


@dg.asset_check(asset=orders)
def broken():
    raise ValueError("no")


def scenario():
    assets = [orders, customers, joined, exported]
    select = dg.AssetSelection
    kept = dg.DagsterInstance.ephemeral()
    return {
        "blocked": dg.materialize([*assets, some_orders, without_value, whatever], raise_on_error=False, instance=kept),
        "warned": dg.materialize([*assets, only_warns]),
        "broken": dg.materialize([*assets, broken], raise_on_error=False),
        "alone": dg.materialize([*assets, whatever], selection=select.checks(whatever), instance=kept),
        "left out": dg.materialize([*assets, some_orders], selection=select.all().without_checks()),
        "of one": dg.materialize([*assets, without_value], selection=select.checks_for_assets(orders), instance=kept),
        "names": [c.op.name for c in (some_orders, without_value, whatever)],
        "keys": [c.check_key.to_user_string() for c in (some_orders, without_value, whatever)],
    }
