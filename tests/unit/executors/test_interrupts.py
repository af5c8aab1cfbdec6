"""Handlers of signals that interrupt user code: they are felt also where Python drops what they raise."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from runplane import DagsterExecutionInterruptedError, DagsterInstance
from runplane.cli.main import root
from runplane.engine.snapshot import StepPlan
from runplane.events.event import NewEvent
from runplane.events.kinds import EventKind
from runplane.events.status import RunStatus
from runplane.executors.template.step_process import Voice
from runplane.executors.template.wire import Receiver, Task
from runplane.executors.time_limit import TimeLimit
from runplane.storage.contract import AttemptRef, RunFilter
from runplane.workers.signals import ToldToLeave, leave_on_sigterm


class Finalized:
    """Does something in its finalizer."""

    def __init__(self, does: Callable[[], object]) -> None:
        self.does = does

    def __del__(self) -> None:
        self.does()


IN_ONE_PROCESS = """
import os, signal, time
from runplane import in_process_executor, job, op

class Finalized:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

@op
def takes_its_time():
    Finalized()
    end = time.monotonic() + 30
    while time.monotonic() < end:
        time.sleep(0.01)
    open("it ran on", "w").close()

@job(executor_def=in_process_executor)
def alone():
    takes_its_time()
"""


def work(finalizer: Callable[[], object]) -> None:
    """User code that takes its time after an object of its has been finalized."""
    Finalized(finalizer)
    end = time.monotonic() + 15
    while time.monotonic() < end:
        time.sleep(0.01)


def test_a_time_limit_is_felt() -> None:
    before, limit = sys.unraisablehook, TimeLimit(0.1)

    with pytest.raises(DagsterExecutionInterruptedError), limit:
        work(lambda: time.sleep(0.5))

    assert limit.passed
    assert sys.unraisablehook is before


def test_a_time_limit_is_felt_once() -> None:
    limit = TimeLimit(0.1)

    with limit:
        with pytest.raises(DagsterExecutionInterruptedError):
            work(lambda: time.sleep(0.5))
        time.sleep(0.2)  # whatever comes again would come here

    assert limit.passed


@pytest.fixture
def sigterm(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put back what hears it, for processes that have it for their whole life."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def voice(sigterm: None) -> Iterator[Voice]:
    """Of a step that was forked, while SIGTERM is its to hear."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        made = Voice(Receiver(theirs), Task(StepPlan("step", "step", "step"), AttemptRef("step", 1)))
        signal.signal(signal.SIGTERM, made.interrupt)
        yield made


@pytest.mark.usefixtures("sigterm")
def test_sigterm_is_felt_while_user_code_is_imported() -> None:
    leave_on_sigterm()

    with pytest.raises(ToldToLeave):
        work(tell_to_end)


def tell_to_end() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def outcome(kind: EventKind) -> NewEvent:
    return NewEvent(kind, "step", 1, {}, 0.0)


def test_sigterm_is_felt_by_a_step_that_was_forked_and_once(voice: Voice) -> None:
    with pytest.raises(DagsterExecutionInterruptedError):
        work(tell_to_end)

    tell_to_end()
    voice.emit(outcome(EventKind.STEP_FAILURE))


def test_a_step_that_was_forked_feels_it_at_the_next_event_at_the_latest(voice: Voice) -> None:
    Finalized(tell_to_end)

    with pytest.raises(DagsterExecutionInterruptedError):
        voice.emit(outcome(EventKind.LOG))


def test_ctrl_c_is_felt_by_a_run_in_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    code = tmp_path / "defs.py"
    code.write_text(IN_ONE_PROCESS)

    CliRunner().invoke(root, ["job", "execute", "-f", str(code), "-j", "alone"])

    with DagsterInstance.get() as instance:
        [run] = instance.runs.page(RunFilter()).runs
        assert instance.journal.head(run.run_id).status is RunStatus.CANCELED
    assert not Path("it ran on").exists()
