"""The processes that a worker has started: one for each step, or run, that it watches. They end with the worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from ..events.argv import PARENT_ENV, WATCHER_ENV
from ..events.requests import ExecuteRunArgs, ExecuteStepArgs, InstanceRef, ResumeRunArgs
from ..events.wire import read_resume_args, read_run_args, read_step_args, to_text
from ..launchers.document import handed_over
from ..storage.contract import AttemptRef
from ..storage.step_queues import RUN_STEP


@dataclass(slots=True)
class WatchedStep:
    """The process of a step, or of a run. `kill_at`: when it is killed, for one that is to end; `left`: it is killed because its worker leaves."""

    run_id: str
    ref: AttemptRef
    process: subprocess.Popen[bytes]
    kill_at: float | None = None
    left: bool = False

    @property
    def is_run(self) -> bool:
        """Whether it coordinates a run."""
        return self.ref.step == RUN_STEP

    def evidence(self) -> dict[str, Any]:
        """What is told of its end."""
        code = self.process.returncode
        if self.left:
            return {
                "text": f"its worker was told to leave, and process {self.process.pid} took longer than its grace period"
            }
        return {"code": code, "text": f"its process {self.process.pid} ended with code {code}"}


def start_step(run_id: str, ref: AttemptRef, body: Mapping[str, Any], instance: InstanceRef) -> WatchedStep:
    """Start the process of an attempt, or of a run, on the worker's own instance. Has to be called by a thread that lives as long as the worker: the kernel
    ends the process with the thread that started it.

    Raises:
        DocumentError: what the coordinator stored can not be read. OSError: no process can be made.
    """
    args, verb, watcher = _read(body)
    python = args.origin.repository_origin.executable_path
    with handed_over(to_text(replace(args, instance=instance))) as handed:
        process = subprocess.Popen(
            [python if os.access(python, os.X_OK) else sys.executable, "-m", "runplane", "api", verb],
            env={**os.environ, **handed.env, watcher: str(os.getpid())},
            pass_fds=handed.descriptors,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    return WatchedStep(run_id, ref, process)


def _read(body: Mapping[str, Any]) -> tuple[ExecuteStepArgs | ExecuteRunArgs | ResumeRunArgs, str, str]:
    """What is to be started: the request, the verb, and the variable that names the process with which it is killed."""
    kind, text = body["kind"], body["document"]
    if kind == "execute_run":
        return read_run_args(text), kind, WATCHER_ENV
    if kind == "resume_run":
        return read_resume_args(text), kind, WATCHER_ENV
    return read_step_args(text), "execute_step", PARENT_ENV


def end_step(step: WatchedStep, grace_s: float) -> None:
    """Ask it to end, once; it is killed when its time is over."""
    if step.kill_at is None:
        step.kill_at = time.monotonic() + grace_s
        _signal(step, signal.SIGTERM if grace_s > 0 else signal.SIGKILL)


def kill_overdue(step: WatchedStep) -> None:
    """Kill it when its time is over."""
    if step.kill_at is not None and time.monotonic() >= step.kill_at:
        _signal(step, signal.SIGKILL)


def _signal(step: WatchedStep, number: signal.Signals) -> None:
    # It leads a session of its own: what user code started is meant too. Not reaped yet, so the number is still its own.
    with suppress(ProcessLookupError):
        os.killpg(step.process.pid, number)
