"""SIGTERM at any moment of a worker's life, and a coordinator that is frozen, replaced and thawed."""

from __future__ import annotations

import json
import pickle
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from runplane.errors.exit_codes import ExitCode
from runplane.events.status import RunStatus
from services.ports import free_port
from services.system import System, postgres_yaml

CODE = """
import os, time
from pathlib import Path
from runplane import in_process_executor, job, multiprocess_executor, op

if Path("slow-import").exists():
    Path("importing").touch()
    time.sleep(60)

@op
def slow(context):
    say(context, "start")
    time.sleep(float(os.environ.get("NAP", "1")))
    say(context, "end")
    return f"attempt {context.attempt}"

@op
def after(context, what):
    say(context, "start", got=what)

@job(executor_def=in_process_executor)
def here():
    after(slow())

@job(executor_def=multiprocess_executor.configured({"max_concurrent": 2}))
def apart():
    after(slow())
"""
EXECUTORS = pytest.mark.parametrize("job", ["here", "apart"])


@pytest.fixture
def system(make_system: Callable[..., System]) -> System:
    return make_system(CODE)


def test_a_worker_that_waits_for_its_database_leaves(system: System) -> None:
    document = system.instance.document(system.instance.runs.get(system.create("here")))
    (system.home / "dagster.yaml").write_text(postgres_yaml(f"postgresql://nobody@127.0.0.1:{free_port()}/none"))
    worker = system.worker_of(_of_home(document))
    system.wait_for("the wait", lambda: "Waiting for" in system.stderr(worker))

    worker.terminate()

    assert worker.wait(3) == ExitCode.TERMINATED == 143


@EXECUTORS
def test_a_worker_that_imports_user_code_leaves_and_gives_its_run_up(system: System, job: str) -> None:
    run_id = system.create(job)
    (system.folder / "slow-import").touch()
    worker = system.worker(run_id)
    system.wait_for("the import", lambda: (system.folder / "importing").exists())

    worker.terminate()

    assert worker.wait(5) == ExitCode.TERMINATED
    head = system.instance.journal.head(run_id)
    assert (head.status, head.owner) == (RunStatus.STARTED, None), "whoever comes next need not wait for a lease"
    system.wait_for("the end of all", lambda: not system.processes(), timeout_s=2)
    (system.folder / "slow-import").unlink()
    assert system.run_to_end(run_id) == 0
    assert system.status(run_id) is RunStatus.SUCCESS


def test_a_step_that_runs_in_the_workers_process_does_not_hold_it_up(system: System) -> None:
    run_id = system.create("here")
    worker = system.worker(run_id, NAP="60")
    system.wait_for("the step", lambda: system.bodies(run_id, "start"))

    worker.terminate()

    assert worker.wait(3) == ExitCode.OK
    assert system.status(run_id) is RunStatus.STARTED
    assert system.kinds(run_id)["STEP_FAILURE"] == 0, "the next coordinator runs it again"


@EXECUTORS
def test_a_frozen_coordinator_that_was_replaced_writes_nothing_and_publishes_nothing(system: System, job: str) -> None:
    """Frozen for three lease times. Its step ran on meanwhile, or goes on when it is thawed: what it made is not what the run uses."""
    run_id = system.create(job)
    frozen = system.worker(run_id, NAP="60")
    system.wait_for("the step", lambda: system.bodies(run_id, "start"))
    if job == "apart":
        # What it has not written yet would tell it, before its heartbeat does. (In its own process it writes this with the outcome.)
        system.wait_for("all that it has to write", lambda: system.kinds(run_id)["STEP_START"] == 1)
    old = {p.pid for p in system.processes()}
    frozen.send_signal(signal.SIGSTOP)
    second = system.worker(run_id, NAP="4")
    system.wait_for("the take-over", lambda: system.instance.journal.head(run_id).epoch == 2)
    system.wait_for("the second attempt", lambda: len(system.bodies(run_id, "start")) == 2)

    frozen.send_signal(signal.SIGCONT)

    # In its own process the step is user code in the main thread; it is interrupted as soon as the heartbeat hears of it.
    assert frozen.wait(10) == ExitCode.FENCED == 70, system.stderr(frozen)
    system.wait_for("the end of its steps", lambda: not old & {p.pid for p in system.processes()}, timeout_s=2)
    assert second.wait(60) == 0
    assert system.status(run_id) is RunStatus.SUCCESS, system.story(run_id)
    events = system.check(run_id)
    (output,) = [e for e in events if e.kind == "STEP_OUTPUT" and e.step == "slow"]
    assert output.n == 2
    assert pickle.loads(Path(output.body["location"]["path"]).read_bytes()) == "attempt 2"
    assert [b["got"] for b in system.bodies(run_id, "start") if b["step"] == "after"] == ["attempt 2"]


def _of_home(document: str) -> str:
    """The document without its instance: that of DAGSTER_HOME is used."""
    return json.dumps({**json.loads(document), "instance_ref": None})
