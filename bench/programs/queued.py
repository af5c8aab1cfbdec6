"""A chain of ops whose steps stand in a queue of a broker, and its run (``python queued.py``). One file for both sides."""

import importlib
import json
import os
import time

package = os.environ["BENCH_PACKAGE"]
flow = importlib.import_module(package)
celery = flow if package == "runplane" else importlib.import_module("dagster_celery")
OPS = int(os.environ["BENCH_OPS"])
ON = celery.celery_executor.configured(json.loads(os.environ["BENCH_CELERY"]))


def say(what):
    """Note the time."""
    with open(os.environ["BENCH_TIMES"], "a", encoding="utf-8") as times:
        times.write(f"{what} {time.time()}\n")


@flow.op
def first():
    say("begins")
    say("ends")
    return 1


@flow.op
def after(value):
    say("begins")
    say("ends")
    return value


@flow.job(executor_def=ON)
def queued():
    value = first()
    for i in range(1, OPS):
        value = after.alias(f"op_{i}")(value)


if __name__ == "__main__":
    import queued as myself

    with flow.DagsterInstance.get() as instance:
        assert flow.execute_job(flow.reconstructable(myself.queued), instance=instance).success
