"""The job of the tier A suite: plain steps, a fan-in, mapped steps and their collector, an optional output, a retry.

Each body writes a line when it starts and one when it ends to the file named by ``RUNPLANE_TIER_A_LOG``, so that the suite can tell
what ran, how often, and under which attempt.
"""

from __future__ import annotations

import json
import os
import time

from ..definitions.builtin_executors import (
    celery_executor,
    celery_k8s_job_executor,
    in_process_executor,
    k8s_job_executor,
    multiprocess_executor,
)
from ..definitions.ins_outs import DynamicOut, Out
from ..definitions.job import graph
from ..definitions.op import op
from ..definitions.op_context import OpExecutionContext
from ..definitions.results import DynamicOutput, Output, RetryRequested
from .crashing import STEP_CRASH_ENV
from .step_workers import step_worker_executor

LOG_ENV = "RUNPLANE_TIER_A_LOG"
NAP_ENV = "RUNPLANE_TIER_A_NAP"
"""How long a body takes, seconds."""
WIDTH_ENV = "RUNPLANE_TIER_A_WIDTH"
"""How many mapped steps."""
BROKER_ENV = "RUNPLANE_TIER_A_BROKER"
"""The broker of ``tier_a_celery``."""
BREAK_ENV = "RUNPLANE_TIER_A_BREAK"
"""Key of a step whose body fails."""


def _say(context: OpExecutionContext, what: str) -> None:
    line = json.dumps(
        {
            "step": context.step_key,
            "n": context.attempt,
            "pid": os.getpid(),
            "what": what,
            "run": context.run_id,
            "at": time.time(),
        }
    )
    fd = os.open(os.environ[LOG_ENV], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(fd, f"{line}\n".encode())
    os.close(fd)


def _work(context: OpExecutionContext) -> None:
    _say(context, "start")
    if os.environ.get(BREAK_ENV) == context.step_key:
        raise ValueError("the step that was to fail")
    time.sleep(float(os.environ.get(NAP_ENV, "0.01")))
    _say(context, "end")


@op
def first(context: OpExecutionContext) -> int:
    """One number."""
    _work(context)
    return 1


@op
def twice(context: OpExecutionContext, number: int) -> int:
    """Doubles it."""
    _work(context)
    return 2 * number


@op
def flaky(context: OpExecutionContext, number: int) -> int:
    """Asks to be run again once."""
    _work(context)
    if context.retry_number == 0:
        raise RetryRequested(max_retries=1)
    return number + 10


@op(out=Out(is_required=False))
def nothing(context: OpExecutionContext, number: int):  # type: ignore[no-untyped-def]
    """Produces its optional output never."""
    _work(context)
    if number < 0:
        yield Output(number)


@op(out=DynamicOut())
def spread(context: OpExecutionContext, number: int):  # type: ignore[no-untyped-def]
    """Some numbers."""
    _work(context)
    for i in range(int(os.environ.get(WIDTH_ENV, "3"))):
        yield DynamicOutput(number + i, mapping_key=str(i))


@op
def total(context: OpExecutionContext, numbers: list) -> int:  # type: ignore[type-arg]
    """Their sum."""
    _work(context)
    return sum(numbers)


@graph
def tier_a() -> None:
    """All shapes."""
    number = first()
    twice.alias("after_nothing")(nothing(number))
    mapped = spread(number).map(twice.alias("mapped"))
    total.alias("gather")([total.alias("collect")(mapped.collect()), flaky(number), twice(number)])


tier_a_step_workers = tier_a.to_job(name="tier_a_step_workers", executor_def=step_worker_executor)
tier_a_k8s = tier_a.to_job(
    name="tier_a_k8s",
    executor_def=k8s_job_executor.configured(
        {"job_image": "tier-a", "max_concurrent": 3, "env_vars": [LOG_ENV, NAP_ENV, WIDTH_ENV, STEP_CRASH_ENV]}
    ),
)
tier_a_celery = tier_a.to_job(
    name="tier_a_celery", executor_def=celery_executor.configured({"broker": {"env": BROKER_ENV}})
)
tier_a_celery_k8s = tier_a.to_job(
    name="tier_a_celery_k8s",
    executor_def=celery_k8s_job_executor.configured(
        {
            "broker": "database",
            "job_image": "tier-a",
            # These pods are processes of one machine, so they do share its folders; crash points are numbered for outputs in files.
            "volumes": [{"name": "machine", "hostPath": {"path": "/"}}],
            "volume_mounts": [{"name": "machine", "mountPath": "/"}],
            "env_vars": [LOG_ENV, NAP_ENV, WIDTH_ENV, STEP_CRASH_ENV],
        }
    ),
)
tier_a_in_process = tier_a.to_job(name="tier_a_in_process", executor_def=in_process_executor)
tier_a_multiprocess = tier_a.to_job(
    name="tier_a_multiprocess", executor_def=multiprocess_executor.configured({"max_concurrent": 2})
)
