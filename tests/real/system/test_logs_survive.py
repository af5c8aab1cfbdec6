"""What steps printed is there when their coordinator is killed, for whoever reads it afterwards."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from services.system import System

CODE = """
import sys, time
from runplane import in_process_executor, job, multiprocess_executor, op

@op
def prints(context):
    for i in range(1000):
        print(f"line {i}")
    print("to stderr", file=sys.stderr)
    say(context, "printed")
    time.sleep(600)

@job(executor_def=in_process_executor)
def workers_here():
    prints()

@job(executor_def=multiprocess_executor)
def workers_apart():
    prints()
"""


@pytest.mark.parametrize("job", ["workers_here", "workers_apart"])
def test_the_logs_are_there_after_kill_9_of_the_coordinator(make_system: Callable[..., System], job: str) -> None:
    system = make_system(CODE)
    run_id = system.create(job)
    worker = system.worker(run_id)
    system.wait_for("what is printed", lambda: system.bodies(run_id, "printed"))

    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    read = system.cli("run", "logs", run_id)

    printed = [line for line in read.stdout.splitlines() if line.startswith("line ")]
    assert printed == [f"line {i}" for i in range(1000)]
    assert "to stderr" in read.stderr
