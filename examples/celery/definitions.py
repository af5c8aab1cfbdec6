"""A training that waits for the one slot of its queue, beside steps of another queue."""

from __future__ import annotations

import time

from runplane import Definitions, celery_executor, celery_k8s_job_executor, job, op

# Read where a run or a worker starts, so that the file is the same on a laptop and in a container.
in_queues = celery_executor.configured({"broker": {"env": "CELERY_BROKER"}})
on_gpu = {"dagster-celery/queue": "gpu"}


@op
def list_regions() -> list[str]:
    """Runs in the queue `dagster`."""
    return ["north", "south"]


@op(tags=on_gpu)
def train_north(context, regions: list[str]) -> float:
    """Stands for work that a machine can do once at a time."""
    return train(context, regions[0])


@op(tags={**on_gpu, "dagster-celery/priority": 9})
def train_south(context, regions: list[str]) -> float:
    """Goes first when both wait."""
    return train(context, regions[1])


def train(context, region: str) -> float:
    """Takes a second."""
    context.log.info(f"training for the {region}")
    time.sleep(1)
    return len(region) / 10


@op
def publish(context, north: float, south: float) -> None:
    """The last step."""
    context.log.info(f"scores: {north}, {south}")


def train_and_publish() -> None:
    """Two trainings, one after the other: their queue has one slot."""
    regions = list_regions()
    publish(train_north(regions), train_south(regions))


@job(executor_def=in_queues)
def nightly():
    """Each step is a process of a worker."""
    train_and_publish()


@job(executor_def=celery_k8s_job_executor)
def nightly_in_pods():
    """Each step is a pod. Where the queues are is said by the instance's launcher."""
    train_and_publish()


defs = Definitions(jobs=[nightly, nightly_in_pods])
