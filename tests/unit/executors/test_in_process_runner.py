"""Steps in the run's own process: time limits are felt while user code runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runplane import DagsterExecutionInterruptedError, DagsterInstance, in_process_executor, job, op
from runplane.events import EventKind
from runplane.events.event import NewEvent
from runplane.executors import in_process
from runplane.executors.step_request import StepRequest
from runplane.storage.contract import RunFilter


@op(tags={"runplane/timeout": "0.2"})
def too_long() -> None:
    time.sleep(20)


@op(tags={"runplane/timeout": "20"})
def in_time() -> int:
    return 1


@job(executor_def=in_process_executor)
def limited() -> None:
    too_long()
    in_time()


@job(executor_def=in_process_executor)
def quick() -> None:
    in_time()


def _failure(result: Any, step: str) -> Any:
    return next(e for e in result.stored_events if e.kind == EventKind.STEP_FAILURE and e.step == step)


def test_a_time_limit_interrupts_user_code_and_is_the_cause() -> None:
    began = time.monotonic()
    result = limited.execute_in_process(raise_on_error=False)
    assert time.monotonic() - began < 15
    assert _failure(result, "too_long").body["cause"] == "TIMED_OUT"
    assert "0.2 seconds" in _failure(result, "too_long").body["error"]["message"]
    assert result.is_node_success("in_time")


def test_an_interrupt_beside_user_code_gives_the_attempt_up_after_what_it_wrote(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As a cancel does that comes when the step has started and its body has not."""
    started = NewEvent(EventKind.STEP_START, "in_time", 1, {"message": "started"}, time.time())

    def is_interrupted(_request: StepRequest, take: Callable[[NewEvent], None]) -> None:
        take(started)
        monkeypatch.undo()
        raise DagsterExecutionInterruptedError

    monkeypatch.setattr(in_process, "perform_step", is_interrupted)

    result = quick.execute_in_process(raise_on_error=False)

    kinds = [e.kind for e in result.stored_events if e.step == "in_time" and e.n == 1]
    assert kinds[-3:] == [EventKind.STEP_START, EventKind.STEP_SEALED, EventKind.STEP_FAILURE]


def test_the_runs_time_limit_interrupts_user_code(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    code = tmp_path / "defs.py"
    code.write_text(
        "import time\n"
        "from runplane import in_process_executor, job, op\n"
        "@op\n"
        "def slow(): time.sleep(60)\n"
        "@job(executor_def=in_process_executor, tags={'dagster/max_runtime': 1})\n"
        "def j(): slow()\n"
    )
    from click.testing import CliRunner

    from runplane.cli.main import root

    began = time.monotonic()
    CliRunner().invoke(root, ["job", "execute", "-f", str(code), "-j", "j"])
    assert time.monotonic() - began < 30
    with DagsterInstance.get() as instance:
        end = [
            e for e in instance.tail(instance.runs.page(RunFilter()).runs[0].run_id) if e.kind == EventKind.RUN_FAILURE
        ]
    assert end[0].body["message"] == "Exceeded maximum runtime of 1 seconds."
