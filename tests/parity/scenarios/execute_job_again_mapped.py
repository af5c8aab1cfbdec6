"""Of mapped steps only those that failed run again; chosen ones by their keys."""

from dagster import (
    DagsterInstance,
    DynamicOut,
    DynamicOutput,
    ReexecutionOptions,
    execute_job,
    in_process_executor,
    job,
    op,
    reconstructable,
)

BROKEN = [1]


@op(out=DynamicOut())
def pieces():
    for i in range(3):
        yield DynamicOutput(i, mapping_key=f"n{i}")


@op
def work(x):
    if x in BROKEN:
        raise ValueError("broken")
    return x * 10


@op
def total(xs):
    return sum(xs)


@job(executor_def=in_process_executor)
def mapped():
    total(pieces().map(work).collect())


def scenario(folder):
    instance = DagsterInstance.ephemeral(tempdir=str(folder))
    target = reconstructable(mapped)
    with execute_job(target, instance=instance) as failed:
        pass
    BROKEN.clear()
    options = ReexecutionOptions.from_failure(failed.run_id, instance)
    with execute_job(target, instance=instance, reexecution_options=options) as rest:
        value = rest.output_for_node("total")
    return {"failed": failed, "rest": rest, "total": value}
