"""An executor whose steps are processes of their own that stand for themselves, as pods do: ``api execute_step``.

They claim their attempt, write to storage without their coordinator, and outlive it; a coordinator that takes over adopts them by the
files in which their process ids are kept. For tests of all that a distributed executor relies on, without a cluster.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..definitions.builtin_executors import RETRIES, STEP_DEPENDENCY_CONFIG, TAG_CONCURRENCY_LIMITS
from ..definitions.config_schema import Field
from ..definitions.executor_definition import ExecutorDefinition
from ..events.argv import STEP_ARGS_ENV
from ..events.causes import FailureCause
from ..events.requests import ExecuteStepArgs, IssuedAttempt
from ..events.wire import to_text
from ..executors.contract import RunnerSignal, StepGone, StepOrder
from ..executors.settings import DriverSettings, ExecutorContext, driver_settings
from ..storage.contract import AttemptRef
from ..storage.liveness import start_time
from .crashing import CRASH_AT_ENV, STEP_CRASH_ENV

LOOK_S = 0.05


class StepWorkerRunner:
    """Starts a process per attempt, and reports those that are gone.

    Args:
        report: takes signals; called from a thread of this runner's.
        context: run, instance and home.
    """

    def __init__(self, report: Callable[[RunnerSignal], None], context: ExecutorContext) -> None:
        self._report = report
        self._context = context
        self._folder = context.home / "step_workers" / context.run.run_id
        self._folder.mkdir(parents=True, exist_ok=True)
        self._watched: dict[AttemptRef, tuple[int, int | None]] = {}
        self._children: dict[AttemptRef, subprocess.Popen[bytes]] = {}
        self._causes: dict[AttemptRef, FailureCause] = {}
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="step-workers", daemon=True)
        self._thread.start()

    def start(self, order: StepOrder) -> None:
        """See ``StepRunner``."""
        run, instance = self._context.run, self._context.instance
        assert run.origin is not None
        issued = IssuedAttempt(order.ref.n, instance.journal.head(run.run_id).epoch)
        document = to_text(ExecuteStepArgs(instance.ref, run.origin, run.run_id, (order.ref.step,), issued=issued))
        env = {k: v for k, v in os.environ.items() if k != CRASH_AT_ENV}
        step, _, point = os.environ.get(STEP_CRASH_ENV, "").rpartition(":")
        if (step, 1) == (order.ref.step, order.ref.n):
            env[CRASH_AT_ENV] = point
        child = subprocess.Popen(
            [sys.executable, "-m", "runplane", "api", "execute_step"],
            env={**env, STEP_ARGS_ENV: document},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        process = (child.pid, start_time(child.pid))
        self._file(order.ref).write_text(json.dumps(process), encoding="utf-8")
        self._children[order.ref] = child
        self._watched[order.ref] = process

    def stop(self, ref: AttemptRef, grace_s: float, cause: FailureCause) -> None:
        """See ``StepRunner``."""
        self.probe(ref)
        process = self._watched.get(ref)
        if process is None:
            return
        repeated = ref in self._causes
        self._causes[ref] = cause
        _signal(process, signal.SIGTERM)
        if not repeated:
            killer = threading.Timer(grace_s, lambda: _signal(process, signal.SIGKILL))
            killer.daemon = True
            killer.start()

    def probe(self, ref: AttemptRef) -> None:
        """See ``StepRunner``. Adopts what another coordinator started."""
        if ref in self._watched:
            return
        try:
            pid, started = json.loads(self._file(ref).read_text(encoding="utf-8"))
        except FileNotFoundError:
            self._report(StepGone(ref, FailureCause.LOST, "it was issued, and no process was started for it"))
            return
        self._watched[ref] = (pid, started)

    def close(self) -> None:
        """Those that run go on: another coordinator adopts them."""
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._closed.wait(LOOK_S):
            for ref, process in list(self._watched.items()):
                child = self._children.get(ref)
                code = child.poll() if child is not None else None
                if code is None and start_time(process[0]) == process[1]:
                    continue
                del self._watched[ref]
                self._file(ref).unlink(missing_ok=True)
                crashed = FailureCause.LOST if code in (None, -signal.SIGKILL) else FailureCause.CRASHED
                self._report(StepGone(ref, self._causes.pop(ref, crashed), f"its process {process[0]} is gone"))

    def _file(self, ref: AttemptRef) -> Path:
        return self._folder / f"{ref.step}@{ref.n}.json"


def _signal(process: tuple[int, int | None], number: int) -> None:
    if start_time(process[0]) == process[1]:
        os.kill(process[0], number)


class StepWorkerExecutor:
    """See the module."""

    def __init__(self, settings: DriverSettings, context: ExecutorContext) -> None:
        self.settings = settings
        self._context = context

    @classmethod
    def from_config(cls, config: Mapping[str, Any], context: ExecutorContext) -> StepWorkerExecutor:
        """Made from the shared keys of executor configs, and ``max_concurrent``."""
        return cls(driver_settings(config, max_concurrent=config["max_concurrent"]), context)

    def prepare(self) -> None:
        """Nothing is imported here: each step's process imports the code."""

    def make_runner(self, report: Callable[[RunnerSignal], None]) -> StepWorkerRunner:
        """See ``Executor``."""
        return StepWorkerRunner(report, self._context)


step_worker_executor = ExecutorDefinition(
    "step_workers",
    {
        "max_concurrent": Field(int, default_value=3),
        "retries": RETRIES,
        "tag_concurrency_limits": TAG_CONCURRENCY_LIMITS,
        "step_dependency_config": STEP_DEPENDENCY_CONFIG,
    },
    module=__name__,
    class_name=StepWorkerExecutor.__name__,
)
