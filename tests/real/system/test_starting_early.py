"""``require_upstream_step_success: false``: a step starts as soon as what it takes exists, wherever the steps run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from runplane.events.status import RunStatus
from services.system import System

CODE = """
import json, os, time
from runplane import Out, Output, RetryRequested, job, multiprocess_executor, op
from runplane.testing.step_workers import step_worker_executor

def dependant_is_there(context):
    with open(os.environ["BODIES"]) as lines:
        return any(json.loads(line)["step"] == "early" for line in lines)

@op(out={"first": Out(), "second": Out()})
def slow(context):
    yield Output(7, "first")
    end = time.monotonic() + 60
    while not dependant_is_there(context):
        assert time.monotonic() < end, "nobody started from the first output"
        time.sleep(0.05)
    yield Output(8, "second")

@op
def early(context, number):
    say(context, "start", number=number)

EARLY = {"step_dependency_config": {"require_upstream_step_success": False}}

@job(executor_def=multiprocess_executor.configured({**EARLY, "max_concurrent": 2}))
def forked():
    first, _ = slow()
    early(first)

@job(executor_def=step_worker_executor.configured({**EARLY, "max_concurrent": 2}))
def apart():
    first, _ = slow()
    early(first)
"""


@pytest.mark.parametrize("job", ["forked", "apart"])
def test_a_step_starts_while_the_one_it_takes_from_still_runs(make_system: Callable[..., System], job: str) -> None:
    system = make_system(CODE)
    run_id = system.create(job)

    assert system.run_to_end(run_id) == 0

    assert system.status(run_id) is RunStatus.SUCCESS, system.story(run_id)
    assert [b["number"] for b in system.bodies(run_id, "start")] == [7]
    system.check(run_id)
