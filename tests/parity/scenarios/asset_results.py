"""MaterializeResult: without a value, with one, with checks, in several forms; members of the result."""

import dagster as dg


@dg.asset
def plain():
    return dg.MaterializeResult(metadata={"rows": 3}, tags={"k": "v"}, data_version=dg.DataVersion("7"))


@dg.asset
def typed() -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"rows": 4})


@dg.asset
def valued() -> dg.MaterializeResult[int]:
    return dg.MaterializeResult(value=4, metadata={"rows": 5})


@dg.asset
def takes(valued):
    yield dg.Output(valued + 1, metadata={"from": "output"})


@dg.asset(check_specs=[dg.AssetCheckSpec("ok", asset="checked")])
def checked():
    return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True)])


def scenario():
    result = dg.materialize([plain, typed, valued, takes, checked])
    said = result.asset_materializations_for_node("plain")[0]
    return {
        "run": result,
        "takes": result.asset_value("takes"),
        "label": said.label,
        "key": said.asset_key.to_user_string(),
        "version": said.tags["dagster/data_version"],
        "by the user": said.tags["dagster/data_version_is_user_provided"],
        "tag": said.tags["k"],
        "labels": sorted(said.metadata),
        "takes labels": sorted(result.asset_materializations_for_node("takes")[0].metadata),
        "checks": [
            (e.asset_key.to_user_string(), e.check_name, e.passed) for e in result.get_asset_check_evaluations()
        ],
    }
