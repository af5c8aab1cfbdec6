"""Definitions put their resources and executor into jobs that have none; repositories give their jobs."""

from dagster import (
    Definitions,
    RunConfig,
    graph,
    in_process_executor,
    job,
    op,
    repository,
    resource,
)


@op(required_resource_keys={"r"})
def uses(context):
    return context.resources.r


@job
def plain():
    uses()


@job(resource_defs={"r": resource(lambda: "own")})
def with_own():
    uses()


@graph
def as_graph():
    uses()


defs = Definitions(jobs=[plain, with_own, as_graph.to_job()], resources={"r": "shared"}, executor=in_process_executor)


@repository
def repo():
    return [with_own]


@repository(name="named")
def of_kinds():
    return {"jobs": {"with_own": lambda: with_own}}


def value(target):
    return target.execute_in_process().output_for_node("uses")


def scenario():
    return {
        "shared": value(defs.get_job_def("plain")),
        "own": value(defs.get_job_def("with_own")),
        "graph": value(defs.get_job_def("as_graph")),
        "executor": defs.get_job_def("plain").executor_def.name,
        "resolve": defs.resolve_job_def("plain").name,
        "repository": [repo.name, repo.has_job("with_own"), repo.has_job("nope"), value(repo.get_job("with_own"))],
        "of kinds": [of_kinds.name, value(of_kinds.get_job("with_own"))],
        "default executor": plain.executor_def.name,
        "run config": RunConfig(
            ops={"a": {"config": {"n": 1}}}, loggers={"console": {}}, execution={"config": {}}
        ).to_config_dict(),
        "no resource": lambda: value(plain),
    }
