"""Resources of assets: by parameter, by key, their own, given, missing."""

import dagster as dg


class Store(dg.ConfigurableResource):
    name: str


@dg.asset
def by_parameter(store: Store):
    return store.name


@dg.asset(required_resource_keys={"numbers"})
def by_key(context):
    return context.resources.numbers


@dg.resource
def own_number():
    return 9


@dg.asset(resource_defs={"own": own_number}, required_resource_keys={"own"})
def with_its_own(context):
    return context.resources.own


def scenario():
    resources = {"store": Store(name="s"), "numbers": 5}
    result = dg.materialize([by_parameter, by_key, with_its_own], resources=resources)
    defs = dg.Definitions(assets=[by_parameter], resources={"store": Store(name="d")})
    return {
        "run": result,
        "values": [result.asset_value(k) for k in ("by_parameter", "by_key", "with_its_own")],
        "of definitions": defs.resolve_implicit_global_asset_job_def().execute_in_process().asset_value("by_parameter"),
        "missing": lambda: dg.materialize([by_key]),
        "required": sorted(by_parameter.required_resource_keys),
    }
