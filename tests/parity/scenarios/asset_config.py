"""Config of assets: a Config class, a schema, defaults, what is missing or wrong."""

import dagster as dg


class Rows(dg.Config):
    n: int
    name: str = "rows"


@dg.asset
def table(config: Rows):
    return [config.name] * config.n


@dg.asset(config_schema={"by": dg.Field(int, default_value=3)})
def scaled(context, table):
    return len(table) * context.op_execution_context.op_config["by"]


def scenario():
    given = {"ops": {"table": {"config": {"n": 2}}}}
    result = dg.materialize([table, scaled], run_config=given)
    other = dg.materialize(
        [table, scaled], run_config=dg.RunConfig(ops={"table": Rows(n=1, name="x")}), selection=["table"]
    )
    return {
        "run": result,
        "table": result.asset_value("table"),
        "scaled": result.asset_value("scaled"),
        "other": other.asset_value("table"),
        "missing": lambda: dg.materialize([table, scaled]),
        "wrong": lambda: dg.materialize([table], run_config={"ops": {"table": {"config": {"n": "two"}}}}),
        "unknown": lambda: dg.materialize([table], run_config={"ops": {"tabel": {"config": {"n": 2}}}}),
    }
