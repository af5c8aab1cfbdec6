"""Runs that are kept: in an instance in memory, with tags, by id."""

import uuid

from dagster import DagsterInstance, DagsterRunStatus, job, op


@op
def works(context):
    return context.instance is not None


@op
def fails():
    raise ValueError("no")


@job(tags={"a": "of the job", "b": "kept"})
def tagged():
    works()


@job
def failing():
    fails()


def scenario(folder):
    instance = DagsterInstance.ephemeral(tempdir=str(folder))
    run_id = str(uuid.uuid4())
    result = tagged.execute_in_process(instance=instance, tags={"a": "of the run", "c": "more"}, run_id=run_id)
    failed = failing.execute_in_process(instance=instance, raise_on_error=False)
    stored = instance.get_run_by_id(run_id)
    return {
        "run": result,
        "value": result.output_for_node("works"),
        "id": result.run_id == run_id == stored.run_id,
        "status": [
            DagsterRunStatus(stored.status.value).name,
            result.dagster_run.status.name,
            failed.dagster_run.status.name,
        ],
        "tags": {k: v for k, v in result.dagster_run.tags.items() if not k.startswith((".", "dagster/"))},
        "ends": [result.get_run_success_event().event_type_value, failed.get_run_failure_event().event_type_value],
        "no end": lambda: result.get_run_failure_event(),
        "unknown": instance.get_run_by_id("nope"),
        "events": [len(result.get_step_success_events()), len(failed.get_step_failure_events())],
        "filtered": len(result.filter_events(lambda e: e.is_step_success)),
    }
