"""Assets that take each other by parameter, by AssetIn and by deps."""

import dagster as dg


@dg.asset(key_prefix=["examples"], group_name="numbers", description="numbers", kinds={"python"})
def generated_numbers():
    return list(range(1, 11))


@dg.asset(ins={"numbers": dg.AssetIn(key=["examples", "generated_numbers"])})
def total(numbers):
    return sum(numbers)


@dg.asset(ins={"generated_numbers": dg.AssetIn(key_prefix="examples")})
def half(generated_numbers: list) -> int:
    return len(generated_numbers) // 2


@dg.asset(deps=[total, "half"])
def after() -> None:
    pass


def scenario():
    result = dg.materialize([generated_numbers, total, half, after])
    return {
        "run": result,
        "total": result.asset_value("total"),
        "half": result.output_for_node("half"),
        "numbers": result.asset_value(["examples", "generated_numbers"]),
        "made": [e.asset_key.to_user_string() for e in result.get_asset_materialization_events()],
        "job": result.job_def.name,
        "called": total([1, 2]),
    }
