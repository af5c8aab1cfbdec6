"""The executor's config, and the program that runs the steps of a job."""

from __future__ import annotations

import queue
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runplane.engine.snapshot import PlanSnapshot, StepPlan
from runplane.errors import UnsupportedError
from runplane.events.origin import FileCodePointer, JobOrigin, RepositoryOrigin
from runplane.events.run import Run
from runplane.executors.contract import RunnerSignal, StepOrder, StepWrote
from runplane.executors.failure import CodeLoadError
from runplane.executors.multiprocess import MultiprocessExecutor, process_settings
from runplane.executors.settings import ExecutorContext
from runplane.executors.template.job_argument import JobArgument
from runplane.storage.compute_logs import LocalComputeLogStore
from runplane.storage.contract import AttemptRef

ARGUMENT = JobArgument(Run("run", "job"), Path("/home"))
CODE = """
from runplane import job, op

@op
def hello(context):
    print("hello from", context.op_config or context.step_key)
    return 1

@job
def greet():
    hello()
"""


@pytest.mark.parametrize(
    ("start_method", "platform", "expected"),
    [
        ({}, "linux", (True, True, ())),
        ({"template": {}}, "linux", (True, True, ())),
        ({"spawn": {}}, "linux", (False, False, ())),
        ({"forkserver": {}}, "linux", (True, True, ())),
        ({"forkserver": {"preload_modules": ["json", "csv"]}}, "linux", (True, False, ("json", "csv"))),
        ({}, "darwin", (False, False, ())),
        ({"template": {}}, "darwin", (False, False, ())),
        ({"forkserver": {}}, "darwin", (True, True, ())),
    ],
)
def test_start_methods(
    monkeypatch: pytest.MonkeyPatch, start_method: dict[str, Any], platform: str, expected: tuple[Any, ...]
) -> None:
    monkeypatch.setattr(sys, "platform", platform)

    made = process_settings(start_method, ARGUMENT, ready_ahead=4)

    assert (made.fork, made.import_here, made.preload) == expected
    assert list(made.command) == [sys.executable, "-m", "runplane.executors.template"]


def test_windows_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch, context: ExecutorContext) -> None:
    monkeypatch.setattr(sys, "platform", "win32")

    with pytest.raises(UnsupportedError) as caught:
        MultiprocessExecutor.from_config({}, context)

    assert str(caught.value) == "the multiprocess executor does not run on Windows; use the in_process executor or WSL."


def test_the_config_becomes_the_drivers_settings(context: ExecutorContext) -> None:
    config = {
        "max_concurrent": 3,
        "retries": {"disabled": {}},
        "step_dependency_config": {"require_upstream_step_success": False},
    }

    settings = MultiprocessExecutor.from_config(config, context).settings

    assert (settings.limits.max_concurrent, settings.retries_enabled, settings.eager) == (3, False, True)


@pytest.mark.parametrize("start_method", ["template", "spawn"])
def test_a_step_of_a_job_is_run_in_a_process_that_imported_its_code(
    context: ExecutorContext, start_method: str
) -> None:
    executor = MultiprocessExecutor.from_config({"max_concurrent": 1, "start_method": {start_method: {}}}, context)
    executor.prepare()
    inbox: queue.SimpleQueue[RunnerSignal] = queue.SimpleQueue()
    runner = executor.make_runner(inbox.put)

    runner.start(StepOrder(context.run, context.plan.steps[0], AttemptRef("hello", 1), nonce="nonce"))
    kinds = [e.kind for signal in until_success(inbox) for e in signal.events]
    runner.close()

    assert kinds[-1] == "STEP_SUCCESS"
    assert "STEP_OUTPUT" in kinds
    printed = [p.read_text() for p in (context.home / "logs").rglob("*.out")]
    assert printed == ["hello from hello\n"]


def test_code_that_fails_to_import_is_told_with_the_users_own_lines(context: ExecutorContext) -> None:
    code = Path(context.run.origin.repository_origin.code_pointer.python_file)  # type: ignore[union-attr]
    code.write_text("def broken():\n    return {}['nothing']\n\nbroken()\n")
    executor = MultiprocessExecutor.from_config({"max_concurrent": 1}, context)

    with pytest.raises(CodeLoadError) as caught:
        executor.prepare()

    error = caught.value.error
    assert (error.cls_name, error.message) == ("KeyError", "KeyError: 'nothing'\n")
    assert [line.split("\n")[1].strip() for line in error.stack] == ["broken()", "return {}['nothing']"]


def test_the_coordinators_side_loads_nothing_that_runs_user_code() -> None:
    script = "import sys, runplane.executors.multiprocess; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()

    unwanted = {"runplane.executors.perform", "runplane.executors.template.host", "pydantic", "sqlalchemy", "alembic"}
    assert unwanted & set(loaded) == set()


def until_success(inbox: queue.SimpleQueue[RunnerSignal]) -> Iterator[StepWrote]:
    while True:
        signal = inbox.get(timeout=30)
        if isinstance(signal, StepWrote):
            yield signal
            if any(e.kind in ("STEP_SUCCESS", "STEP_FAILURE") for e in signal.events):
                return


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ExecutorContext:
    monkeypatch.setenv("PYTHONPATH", ":".join(p for p in sys.path if p))
    code = tmp_path / "code.py"
    code.write_text(CODE)
    origin = JobOrigin("greet", RepositoryOrigin(sys.executable, FileCodePointer(str(code), "greet", str(tmp_path))))
    return ExecutorContext(
        run=Run("run", "greet", origin),
        plan=PlanSnapshot("greet", (StepPlan("hello", "hello", "hello", resource_keys=("io_manager",)),)),
        home=tmp_path,
        logs=LocalComputeLogStore(tmp_path / "logs"),
        load_job=lambda: None,
    )
