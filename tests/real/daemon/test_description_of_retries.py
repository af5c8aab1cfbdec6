"""The description's Text 9 (`maxRetries: 2`) and Code 3 (`dagster/max_retries`), with real workers and a real daemon."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runplane.events.kinds import EventKind
from runplane.events.status import RunStatus
from services.daemon_system import DaemonSystem

YAML = """
run_queue: {max_concurrent_runs: 4}
run_retries: {enabled: true, max_retries: 2}
run_monitoring: {enabled: true, poll_interval_seconds: 1, max_resume_run_attempts: RESUMES}
"""
CODE = """
import os, time
from runplane import in_process_executor, job, op

@op
def first(context):
    say(context, "start")
    return 1

@op
def fails(context, number):
    say(context, "start")
    raise ValueError("never works")

@job(executor_def=in_process_executor)
def by_the_setting():
    fails(first())

@job(executor_def=in_process_executor, tags={"dagster/max_retries": 3})
def sample_job():
    fails(first())

@op
def slow(context):
    say(context, "start")
    time.sleep(0.3 if context.attempt > 1 else 60)

@job(executor_def=in_process_executor)
def long_one():
    slow()
"""


@pytest.fixture
def house(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[DaemonSystem]:
    made = DaemonSystem(tmp_path, CODE, YAML.replace("RESUMES", str(getattr(request, "param", 3))))
    yield made
    made.close()


@pytest.mark.parametrize(("job", "retries"), [("by_the_setting", 2), ("sample_job", 3)])
def test_a_failing_job_is_retried_so_often_and_its_successes_are_kept(
    house: DaemonSystem, job: str, retries: int
) -> None:
    run_id = house.submit(job)
    house.daemon()

    house.wait_for("the last failure", lambda: _failed(house, run_id) == retries + 1, 100)

    assert len(house.group(run_id)) == retries
    steps = [body["step"] for body in house.bodies(what="start")]
    assert steps.count("first") == 1, "a step that succeeded was run again"
    assert steps.count("fails") == retries + 1
    newest = house.instance.runs.get(house.group(run_id)[0])
    assert newest.tags["dagster/retry_number"] == str(retries)
    assert newest.tags["dagster/will_retry"] == "false"


def _failed(house: DaemonSystem, run_id: str) -> int:
    runs = [run_id, *house.group(run_id)]
    return sum(house.status(r) is RunStatus.FAILURE for r in runs)


@pytest.mark.parametrize("house", [3], indirect=True)
def test_a_killed_worker_is_replaced_and_the_run_succeeds(house: DaemonSystem) -> None:
    run_id = house.submit("long_one")
    house.daemon()
    house.wait_for("the step", lambda: house.bodies(run_id, "start"), 60)

    house.signal_worker(run_id)

    house.wait_for_status(run_id, RunStatus.SUCCESS, timeout_s=60)
    assert house.kinds(run_id)[EventKind.RUN_RESUMED] == 1
    house.wait_for("its worker's last deed", lambda: house.open_logs(run_id) == [])
    house.check(run_id)


@pytest.mark.parametrize("house", [0], indirect=True)
def test_without_a_budget_a_killed_worker_fails_the_run_and_a_retry_does_the_work(house: DaemonSystem) -> None:
    run_id = house.submit("long_one")
    daemon = house.daemon()
    house.wait_for("the step", lambda: house.bodies(run_id, "start"), 60)
    daemon.kill()
    daemon.wait()

    house.signal_worker(run_id)
    house.daemon()

    house.wait_for_status(run_id, RunStatus.FAILURE, timeout_s=60)
    failure = house.last(run_id, EventKind.RUN_FAILURE).body
    assert "is gone" in failure["message"]
    house.wait_for("the retry", lambda: house.group(run_id), 60)
