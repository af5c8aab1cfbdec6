"""A run is executed again: what failed of it, chosen steps, all."""

from dagster import (
    DagsterInstance,
    ReexecutionOptions,
    execute_job,
    in_process_executor,
    job,
    op,
    reconstructable,
)

BROKEN = [True]
VALUES = []


@op
def first():
    return 1


@op
def second(x):
    if BROKEN:
        raise ValueError("broken")
    return x + 1


@op
def third(x):
    return x + 1


@op
def other():
    return 9


@job(executor_def=in_process_executor)
def chain():
    third(second(first()))
    other()


def scenario(folder):
    instance = DagsterInstance.ephemeral(tempdir=str(folder))
    target = reconstructable(chain)

    def run(**options):
        with execute_job(target, instance=instance, **options) as result:
            if result.is_node_success("third"):
                VALUES.append(result.output_for_node("third"))
            return result

    failed = run()
    BROKEN.clear()
    rest = run(reexecution_options=ReexecutionOptions.from_failure(failed.run_id, instance))
    from_second = run(reexecution_options=ReexecutionOptions(failed.run_id, step_selection=["second*"]))
    only_third = run(reexecution_options=ReexecutionOptions(rest.run_id, step_selection=["third"]))
    everything = run(reexecution_options=ReexecutionOptions(failed.run_id))
    return {
        "failed": failed,
        "rest": rest,
        "from second": from_second,
        "third": only_third,
        "values": VALUES,
        "everything": everything,
        "lineage": [
            rest.dagster_run.parent_run_id == failed.run_id,
            rest.dagster_run.root_run_id == failed.run_id,
            only_third.dagster_run.parent_run_id == rest.run_id,
            only_third.dagster_run.root_run_id == failed.run_id,
        ],
        "unknown step": lambda: run(reexecution_options=ReexecutionOptions(failed.run_id, step_selection=["zz"])),
        "a subset": run(op_selection=["first", "other"]),
    }
