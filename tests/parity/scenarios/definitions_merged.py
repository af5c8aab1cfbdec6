"""Several ``Definitions`` become one; what contradicts itself is refused."""

from dagster import (
    AssetCheckResult,
    Definitions,
    asset,
    asset_check,
    define_asset_job,
    in_process_executor,
    job,
    logger,
    multiprocess_executor,
    op,
    resource,
)


@op(required_resource_keys={"r"})
def uses(context):
    return context.resources.r


@job
def needs():
    uses()


@job(resource_defs={"r": resource(lambda: "own")})
def with_own():
    uses()


@job(name="with_own", resource_defs={"r": resource(lambda: "other")})
def called_the_same():
    uses()


@asset
def first():
    return 1


@asset
def second(first):
    return first + 1


@asset_check(asset=first)
def is_one(first):
    return AssetCheckResult(passed=first == 1)


@logger
def quiet(_init):
    return None


shared = resource(lambda: "shared")
A = Definitions(assets=[first], jobs=[with_own, needs], resources={"r": shared}, metadata={"a": 1, "both": 1})
B = Definitions(assets=[second], asset_checks=[is_one], jobs=[define_asset_job("all_of_them")], metadata={"both": 2})
B_WITH_R = Definitions(resources={"r": shared, "s": resource(lambda: "s")}, executor=in_process_executor)


def scenario():
    merged = Definitions.merge(A, B, B_WITH_R)
    return {
        "jobs": sorted(j.name for j in merged.resolve_all_job_defs()),
        "keys": sorted(k.to_user_string() for k in merged.resolve_all_asset_keys()),
        "value": merged.resolve_job_def("needs").execute_in_process().output_for_node("uses"),
        "assets": merged.resolve_job_def("all_of_them").execute_in_process(),
        "resources": sorted(merged.resources),
        "executor": merged.executor.name,
        "of none": len(Definitions.merge().resolve_all_job_defs()),
        "one": sorted(k.to_user_string() for k in Definitions.merge(A).resolve_all_asset_keys()),
        "other resource": lambda: Definitions.merge(A, Definitions(resources={"r": resource(lambda: 2)})),
        "other logger": lambda: Definitions.merge(
            Definitions(loggers={"l": quiet}), Definitions(loggers={"l": logger(lambda _: None)})
        ),
        "other executor": lambda: Definitions.merge(B_WITH_R, Definitions(executor=multiprocess_executor)),
        "same executor": Definitions.merge(B_WITH_R, B_WITH_R).executor.name,
        "same job": [
            j.name
            for j in Definitions.merge(
                B_WITH_R, Definitions(jobs=[with_own]), Definitions(jobs=[with_own])
            ).resolve_all_job_defs()
        ],
        "two jobs": lambda: Definitions.merge(A, Definitions(jobs=[called_the_same])).resolve_all_job_defs() and None,
    }
