"""Step outputs in a bucket of a real S3 server: runs across processes, retries, re-execution, and a replaced attempt."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from runplane.events.status import RunStatus
from services.s3 import S3Server
from services.system import System

CODE = """
import os
from runplane import (
    Definitions, DynamicOut, DynamicOutput, FilesystemIOManager, RetryPolicy, job, multiprocess_executor, op,
)

@op(out=DynamicOut())
def spread():
    for n in range(3):
        yield DynamicOutput(n, mapping_key=f"n{n}")

@op(retry_policy=RetryPolicy(max_retries=1))
def double(context, n):
    if context.retry_number == 0 and n == 1:
        os._exit(7)
    return 2 * n

@op
def total(context, numbers):
    say(context, "start", total=sum(numbers))
    if os.environ.get("FAIL"):
        raise ValueError("for now")
    return sum(numbers)

@job(resource_defs={"io_manager": FilesystemIOManager(base_dir="BASE")}, executor_def=multiprocess_executor)
def doubled():
    total(spread().map(double).collect())

defs = Definitions(jobs=[doubled])
"""


@pytest.fixture
def system(make_system: Callable[..., System], s3_server: S3Server, s3_bucket: str) -> System:
    return make_system(
        CODE.replace("BASE", f"s3://{s3_bucket}/team/outputs"),
        env={
            "AWS_ENDPOINT_URL": s3_server.endpoint,
            "AWS_ACCESS_KEY_ID": s3_server.access_key,
            "AWS_SECRET_ACCESS_KEY": s3_server.secret_key,
            "AWS_DEFAULT_REGION": s3_server.region,
        },
    )


def test_a_run_across_processes_keeps_its_outputs_in_the_bucket(
    system: System, s3_server: S3Server, s3_bucket: str
) -> None:
    run_id = system.create("doubled")

    code = system.run_to_end(run_id)

    assert (code, system.status(run_id)) == (0, RunStatus.SUCCESS), system.story(run_id)
    assert [b["total"] for b in system.bodies(run_id)] == [6]
    below = f"team/outputs/{run_id}"
    assert s3_server.keys(s3_bucket) == sorted(
        [f"{below}/spread/result/n{n}" for n in range(3)]
        + [f"{below}/double[n{n}]/result" for n in range(3)]
        + [f"{below}/double[n1]/result.attempt-2", f"{below}/total/result"]
    )
    assert not list((system.home / "storage").rglob("result"))


def test_a_run_from_failure_reads_the_outputs_of_its_parent(system: System) -> None:
    run_id = system.create("doubled")
    system.run_to_end(run_id, FAIL="1")
    assert system.status(run_id) is RunStatus.FAILURE, system.story(run_id)

    again = system.cli("run", "retry", run_id, "--from-failure")

    assert again.returncode == 0, again.stdout + again.stderr
    system.wait_for("the step of the new run", lambda: len(system.bodies()) == 2, 60)
    first, second = system.bodies()
    assert (first["run"], first["total"], second["total"]) == (run_id, 6, 6)
    system.wait_for_status(second["run"], RunStatus.SUCCESS)


def test_a_deleted_run_takes_its_outputs_along(system: System, s3_server: S3Server, s3_bucket: str) -> None:
    kept, deleted = system.create("doubled"), system.create("doubled")
    for run_id in (kept, deleted):
        assert system.run_to_end(run_id) == 0

    done = system.cli("run", "delete", deleted, "--yes")

    assert done.returncode == 0, done.stderr
    left = s3_server.keys(s3_bucket)
    assert len(left) == 8
    assert all(f"/{kept}/" in name for name in left)
