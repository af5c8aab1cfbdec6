"""The step runners that we ship, by their conformance suite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runplane import job, op
from runplane.engine.snapshot import StepPlan
from runplane.events.run import Run
from runplane.executors.contract import Report, StepOrder
from runplane.executors.in_process import InProcessRunner
from runplane.executors.multiprocess import MultiprocessRunner
from runplane.executors.settings import ExecutorContext
from runplane.executors.values import NoValues
from runplane.plan.compile import compile_plan
from runplane.storage.compute_logs import NoOpComputeLogStore
from runplane.storage.contract import AttemptRef
from runplane.testing import StepRunnerContract
from runplane.testing.scripted_runner import ScriptedRunner
from services.multiprocess_room import Room

RUN = Run("2b5a9f0e-63c5-4f6e-8f3e-7f4f2f1d9a11", "alone")


@op
def succeeds():
    pass


@job
def alone():
    succeeds()


def planned(key: str) -> StepOrder:
    return StepOrder(RUN, StepPlan(key, key, key), AttemptRef(key, 1), nonce=f"nonce of {key}")


class TestScriptedRunner(StepRunnerContract):
    @pytest.fixture
    def make_runner(self) -> Any:
        def dies(runner: ScriptedRunner, order: StepOrder) -> None:
            runner.write(order, [runner._event(order, "LOG", {"message": "before"})])
            runner.die(order)

        return lambda report: ScriptedRunner(report, {"hangs": lambda runner, order: None, "dies": dies})

    def order(self, what: str) -> StepOrder:
        return planned(what)


class TestInProcessRunner(StepRunnerContract):
    runs_inside_start = True

    @pytest.fixture
    def make_runner(self, tmp_path: Path) -> Any:
        context = ExecutorContext(RUN, compile_plan(alone, {}), tmp_path, NoOpComputeLogStore(), lambda: alone)
        return lambda report: InProcessRunner(report, alone, context)

    def order(self, what: str) -> StepOrder:
        return StepOrder(RUN, compile_plan(alone, {}).step(what), AttemptRef(what, 1), nonce=f"nonce of {what}")


class TestMultiprocessRunner(StepRunnerContract):
    keys = {"succeeds": "ok", "hangs": "forever", "dies": "kill"}

    @pytest.fixture
    def make_runner(self, tmp_path: Path) -> Any:
        def make(report: Report) -> MultiprocessRunner:
            room = Room(tmp_path)
            return MultiprocessRunner(report, room.processes, "run", room.store, NoValues())

        return make

    def order(self, what: str) -> StepOrder:
        return planned(self.keys[what])
