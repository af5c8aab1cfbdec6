"""The processes that a worker has started: one for each step that it watches. They end with the worker."""

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

from ..events.argv import PARENT_ENV
from ..events.requests import InstanceRef
from ..events.wire import read_step_args, to_text
from ..launchers.document import handed_over
from ..storage.contract import AttemptRef


@dataclass(slots=True)
class WatchedStep:
    """A step's process. `kill_at`: when it is killed, for one that is to end; `left`: it is killed because its worker leaves."""

    run_id: str
    ref: AttemptRef
    process: subprocess.Popen[bytes]
    kill_at: float | None = None
    left: bool = False

    def evidence(self) -> dict[str, Any]:
        """What is told of its end."""
        code = self.process.returncode
        if self.left:
            return {
                "text": f"its worker was told to leave, and process {self.process.pid} took longer than its grace period"
            }
        return {"code": code, "text": f"its process {self.process.pid} ended with code {code}"}


def start_step(run_id: str, ref: AttemptRef, body: Mapping[str, Any], instance: InstanceRef) -> WatchedStep:
    """Start the process of an attempt, on the worker's own instance. Has to be called by a thread that lives as long as the worker: the kernel
    ends the process with the thread that started it.

    Raises:
        DocumentError: what the coordinator stored can not be read. OSError: no process can be made.
    """
    args = replace(read_step_args(body["document"]), instance=instance)
    python = args.origin.repository_origin.executable_path
    with handed_over(to_text(args)) as handed:
        process = subprocess.Popen(
            [python if os.access(python, os.X_OK) else sys.executable, "-m", "runplane", "api", "execute_step"],
            env={**os.environ, **handed.env, PARENT_ENV: str(os.getpid())},
            pass_fds=handed.descriptors,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    return WatchedStep(run_id, ref, process)


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
