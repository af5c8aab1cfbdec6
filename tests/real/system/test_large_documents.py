"""An instance larger than what Linux takes in one argument or variable: runs are started and resumed all the same."""

from __future__ import annotations

import json
import os
import resource
import signal
from collections.abc import Callable

import pytest

from runplane.events.status import RunStatus
from services.system import System

LONGEST_STRING = 32 * resource.getpagesize()
"""MAX_ARG_STRLEN of the kernel."""
LOGGERS = [f"a_team_of_many.part_{i}_{'x' * 22_000}" for i in range(50)]
YAML = json.dumps({"python_logs": {"managed_python_loggers": LOGGERS}})
CODE = """
import os, time
from runplane import in_process_executor, job, multiprocess_executor, op

@op
def waits(context):
    say(context, "start", variables=max(map(len, os.environ.values())))
    while context.attempt == 1 and os.environ.get("WAITS"):
        time.sleep(0.05)

@job(executor_def=in_process_executor)
def workers_here():
    waits()

@job(executor_def=multiprocess_executor)
def workers_apart():
    waits()
"""


@pytest.fixture
def system(make_system: Callable[..., System]) -> System:
    made = make_system(CODE, YAML)
    assert len(made.instance.document(made.instance.runs.get(made.create("workers_here")))) > 1 << 20
    return made


@pytest.mark.parametrize("job", ["workers_here", "workers_apart"])
def test_job_execute(system: System, job: str) -> None:
    done = system.cli("job", "execute", "-f", "jobs.py", "-j", job)

    assert done.returncode == 0, done.stderr
    assert system.bodies()[0]["variables"] < LONGEST_STRING


def test_launched_and_resumed(system: System) -> None:
    run_id = system.cli("job", "launch", "-f", "jobs.py", "-j", "workers_here", WAITS="1").stdout.strip()
    system.wait_for("the step", lambda: system.bodies(run_id, "start"))
    os.kill(system.bodies(run_id, "start")[0]["pid"], signal.SIGKILL)

    resumed = system.cli("run", "resume", run_id)

    assert resumed.returncode == 0, resumed.stderr
    system.wait_for_status(run_id, RunStatus.SUCCESS)
    system.check(run_id)
