"""define_asset_job and Definitions: the description's own jobs, config, selections, the job of all assets."""

import dagster as dg

TAG = {"container_config": {"resources": {"requests": {"cpu": "2000m", "memory": "4096Mi"}}}}


@dg.asset(
    key_prefix=["examples"],
    group_name="numbers",
    description="Generated a list of numbers from 1 to 10",
    kinds=["python"],
    op_tags={"dagster-k8s/config": TAG},
)
def generated_numbers():
    return list(range(1, 11))


class Factor(dg.Config):
    by: int = 2


@dg.asset(
    key_prefix=["examples"],
    group_name="numbers",
    ins={"numbers": dg.AssetIn(key=["examples", "generated_numbers"])},
)
def scaled(numbers, config: Factor):
    return [n * config.by for n in numbers]


@dg.asset
def elsewhere():
    return 1


numbers_job = dg.define_asset_job(
    name="process_numbers_asset",
    selection=dg.AssetSelection.groups("numbers"),
    tags={"domain": "numbers", "dagster-k8s/config": TAG},
)
by_ten = dg.define_asset_job("by_ten", "*examples/scaled", config={"ops": {"examples__scaled": {"config": {"by": 10}}}})
defs = dg.Definitions(assets=[generated_numbers, scaled, elsewhere], jobs=[numbers_job, by_ten])


def scenario():
    job = defs.resolve_job_def("process_numbers_asset")
    ten = defs.resolve_job_def("by_ten")
    everything = defs.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process()
    return {
        "run": result,
        "tags": dict(job.tags),
        "value": result.asset_value(["examples", "scaled"]),
        "ten": ten.execute_in_process().asset_value(["examples", "scaled"]),
        "part": job.execute_in_process(asset_selection=[dg.AssetKey(["examples", "generated_numbers"])]),
        "not in it": lambda: job.execute_in_process(asset_selection=[dg.AssetKey("elsewhere")]),
        "all": everything.execute_in_process(),
        "name": everything.name,
        "op tags": sorted(generated_numbers.op.tags),
        "nothing selected": lambda: dg.Definitions(
            assets=[elsewhere], jobs=[dg.define_asset_job("j", selection="nobody")]
        ).resolve_job_def("j"),
    }
