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
from typing import Any, Protocol

from ..events.argv import PARENT_ENV, WATCHER_ENV
from ..events.requests import ExecuteRunArgs, ExecuteStepArgs, InstanceRef, ResumeRunArgs
from ..events.wire import read_resume_args, read_run_args, read_step_args, to_text
from ..launchers.document import handed_over
from ..storage.contract import AttemptRef
from ..storage.step_queues import RUN_STEP


class WatchedProcess(Protocol):
    """A process that carries out a request: started anew (``NewProcess``), or forked (``step_templates.ForkedStep``)."""

    @property
    def pid(self) -> int | None:
        """None as long as it is not known."""

    def evidence(self) -> dict[str, Any] | None:
        """What is told of its end; None: it runs."""

    def end(self, grace_s: float) -> None:
        """Ask it to end; it is killed when `grace_s` is over. Of several calls the first one counts."""

    def kill_overdue(self) -> None:
        """Kill it when its time is over."""


class ForksSteps(Protocol):
    """See ``step_templates.StepTemplates``."""

    def start(self, python: str, ref: AttemptRef, args: ExecuteStepArgs) -> WatchedProcess | None:
        """See there."""


@dataclass(slots=True)
class WatchedStep:
    """A step, or a run, and its process. `left`: it is killed because its worker leaves."""

    run_id: str
    ref: AttemptRef
    process: WatchedProcess
    left: bool = False

    @property
    def is_run(self) -> bool:
        """Whether it coordinates a run."""
        return self.ref.step == RUN_STEP

    def evidence(self) -> dict[str, Any] | None:
        """What is told of its end; None: it runs."""
        found = self.process.evidence()
        if found is not None and self.left:
            pid = self.process.pid
            return {"text": f"its worker was told to leave, and process {pid} took longer than its grace period"}
        return found


class NewProcess:
    """A process with an interpreter of its own. It leads a session, so that what user code starts is meant too.

    Args:
        python: the interpreter. args: the request. watcher: the variable that names the process with which it is killed.

    Raises:
        OSError: no process can be made.
    """

    def __init__(
        self, python: str, verb: str, args: ExecuteStepArgs | ExecuteRunArgs | ResumeRunArgs, watcher: str
    ) -> None:
        with handed_over(to_text(args)) as handed:
            self._process = subprocess.Popen(
                [python, "-m", "runplane", "api", verb],
                env={**os.environ, **handed.env, watcher: str(os.getpid())},
                pass_fds=handed.descriptors,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._kill_at: float | None = None

    @classmethod
    def of_step(cls, python: str, args: ExecuteStepArgs) -> NewProcess:
        """One that executes a step."""
        return cls(python, "execute_step", args, PARENT_ENV)

    @property
    def pid(self) -> int:
        """See ``WatchedProcess``."""
        return self._process.pid

    def evidence(self) -> dict[str, Any] | None:
        """See ``WatchedProcess``."""
        code = self._process.poll()
        return None if code is None else ended_with(self.pid, code)

    def end(self, grace_s: float) -> None:
        """See ``WatchedProcess``."""
        if self._kill_at is None:
            self._kill_at = time.monotonic() + grace_s
            self._signal(signal.SIGTERM if grace_s > 0 else signal.SIGKILL)

    def kill_overdue(self) -> None:
        """See ``WatchedProcess``."""
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        # Not reaped yet, so the number is still its own.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


def ended_with(pid: int | None, code: int) -> dict[str, Any]:
    """What is told of a process that ended with this code."""
    return {"code": code, "text": f"its process {pid} ended with code {code}"}


def not_started(error: Exception) -> dict[str, Any]:
    """What is told of a process that could not be made."""
    return {"code": 1, "text": f"its worker could not start it: {type(error).__name__}: {error}"}


def start_step(
    run_id: str, ref: AttemptRef, body: Mapping[str, Any], instance: InstanceRef, templates: ForksSteps
) -> WatchedStep:
    """Start the process of an attempt, or of a run, on the worker's own instance. Has to be called by a thread that lives as long as the worker: the kernel
    ends the process with the thread that started it.

    Args:
        templates: forks the processes of steps.

    Raises:
        DocumentError: what the coordinator stored can not be read. OSError: no process can be made.
    """
    args, verb, watcher = _read(body)
    args = replace(args, instance=instance)
    python = args.origin.repository_origin.executable_path
    python = python if os.access(python, os.X_OK) else sys.executable
    forked = templates.start(python, ref, args) if isinstance(args, ExecuteStepArgs) else None
    return WatchedStep(run_id, ref, forked or NewProcess(python, verb, args, watcher))


def _read(body: Mapping[str, Any]) -> tuple[ExecuteStepArgs | ExecuteRunArgs | ResumeRunArgs, str, str]:
    """What is to be started: the request, the verb, and the variable that names the process with which it is killed."""
    kind, text = body["kind"], body["document"]
    if kind == "execute_run":
        return read_run_args(text), kind, WATCHER_ENV
    if kind == "resume_run":
        return read_resume_args(text), kind, WATCHER_ENV
    return read_step_args(text), "execute_step", PARENT_ENV
