"""A request to cancel that was stored, and whose sender died right after that: whoever coordinates the run acts on it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from runplane.events.status import RunStatus
from services.system import System

CODE = """
import time
from runplane import in_process_executor, job, multiprocess_executor, op

@op
def long(context):
    say(context, "start")
    time.sleep(600)

@job(executor_def=in_process_executor)
def workers_here():
    long()

@job(executor_def=multiprocess_executor)
def workers_apart():
    long()
"""


@pytest.mark.parametrize("job", ["workers_here", "workers_apart"])
def test_the_worker_acts_on_a_request_whose_sender_is_gone(make_system: Callable[..., System], job: str) -> None:
    system = make_system(CODE)
    run_id = system.create(job)
    worker = system.worker(run_id)
    system.wait_for("the step", lambda: system.bodies(run_id, "start"))

    system.instance.request_cancel(run_id)

    system.wait_for_status(run_id, RunStatus.CANCELED)
    assert worker.wait(30) == 0
    kinds = system.kinds(run_id)
    assert (kinds["RUN_CANCELING"], kinds["RUN_CANCELED"]) == (1, 1)
    system.check(run_id)


def test_a_request_that_was_there_before_the_worker_ends_the_run(make_system: Callable[..., System]) -> None:
    system = make_system(CODE)
    run_id = system.create("workers_here")
    system.instance.request_cancel(run_id)

    assert system.run_to_end(run_id) == 0

    assert system.status(run_id) is RunStatus.CANCELED


def test_the_worker_that_takes_over_acts_on_a_request_to_the_one_before(make_system: Callable[..., System]) -> None:
    system = make_system(CODE)
    run_id = system.create("workers_apart")
    worker = system.worker(run_id)
    system.wait_for("the step", lambda: system.bodies(run_id, "start"))
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    system.instance.request_cancel(run_id)

    assert system.run_to_end(run_id) == 0

    assert system.status(run_id) is RunStatus.CANCELED
    assert len(system.bodies(run_id, "start")) <= 2
    system.check(run_id)
