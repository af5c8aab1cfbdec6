"""Processes of steps that are forked from one that has imported their code: a template for each code pointer (``executors/template``).

What is forked does what ``api execute_step`` does; its worker writes for it what it can (``child_writes``). Where the import leaves something
that does not survive a fork, or fails, the step's process is started anew.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..events.event import NewEvent
from ..events.origin import CodePointer
from ..events.requests import ExecuteStepArgs
from ..events.wire import to_text
from ..executors.processes.contract import End, Job, ProcessSettings
from ..executors.processes.ends import exit_code
from ..executors.processes.step_processes import StepProcesses
from ..storage.contract import AttemptRef
from .child_writes import ChildWrites
from .queue_steps import NewProcess, ended_with, not_started
from .step_order import StepDocument, ref_of_order

PROGRAM = "runplane.cli.step_template"
MODULES = (
    "runplane.cli.api",
    "runplane.instance.instance",
    "runplane.instance.yaml_text.library",
    "runplane.workers.step",
)
"""What each step needs of ours, besides its database. Not each needs the library; who does pays for it once here, not in each step."""
IDLE_S = 300.0
"""A template without steps is ended after so long: what it holds in memory may be wanted elsewhere, and its code may be another by then."""
AGAIN_S = 60.0
"""Code that could not be imported is not tried again for so long; its steps tell why, each by itself."""
MOST = 8
"""Templates at once."""
Say = Callable[[str], None]


class ForkedStep:
    """The process of a step, asked for of a template. Where there is none to be had, ``evidence`` starts one anew.

    Args:
        stop: has it stopped, given the seconds of its grace period. anew: starts a process for it.
    """

    def __init__(self, stop: Callable[[float], None], anew: Callable[[], NewProcess]) -> None:
        self.pid: int | None = None
        self._stop = stop
        self._anew = anew
        self._told: dict[str, Any] | None = None
        self._wants_anew = False
        self._new: NewProcess | None = None
        self._end_within: float | None = None

    def evidence(self) -> dict[str, Any] | None:
        """See ``WatchedProcess``. Called by the thread that may start processes."""
        if self._wants_anew:
            self._wants_anew = False
            self._start_anew()
        return self._told if self._new is None else self._new.evidence()

    def end(self, grace_s: float) -> None:
        """See ``WatchedProcess``."""
        if self._new is not None:
            self._new.end(grace_s)
        elif self._end_within is None:
            self._end_within = grace_s
            self._stop(grace_s)

    def kill_overdue(self) -> None:
        """See ``WatchedProcess``. A template does that by itself."""
        if self._new is not None:
            self._new.kill_overdue()

    # From the templates' threads ----------------------------------------------------------------------------------------------

    def has_no_process(self) -> None:
        """None could be had: it is to be started anew."""
        self._wants_anew = True

    def ended(self, evidence: dict[str, Any]) -> None:
        """It is gone."""
        self._told = evidence

    # Inside -------------------------------------------------------------------------------------------------------------------

    def _start_anew(self) -> None:
        if self._end_within is not None:
            self._told = {"text": "it was to end before it had a process"}
            return
        try:
            self._new = self._anew()
            self.pid = self._new.pid
        except OSError as e:
            self._told = not_started(e)


class StepTemplates:
    """The templates of a worker. Used by one thread.

    Args:
        modules: of the database that steps use. writes: what they have written for them.
        say: told what a person should know; called from any thread.
        wake: called from any thread when a step has ended.
    """

    def __init__(self, modules: Sequence[str], writes: ChildWrites, say: Say, wake: Callable[[], None]) -> None:
        self._modules = (*MODULES, *modules)
        self._writes = writes
        self._say = say
        self._wake = wake
        self._templates: dict[tuple[str, str], _Template] = {}
        self._not_before: dict[tuple[str, str], float] = {}

    def start(self, python: str, ref: AttemptRef, args: ExecuteStepArgs) -> ForkedStep | None:
        """A process for an attempt; None: none can be forked here.

        Args:
            python: the interpreter. ref: the attempt. args: the request.
        """
        if sys.platform != "linux":
            return None
        template = self._template(python, args)
        if template is None:
            return None
        order = StepDocument(ref_of_order(args.run_id, ref), to_text(args))
        return template.start(order, lambda: NewProcess.of_step(python, args))

    def tidy(self) -> None:
        """End those that are of no use any more."""
        for key, template in list(self._templates.items()):
            if template.has_failed:
                self._not_before[key] = time.monotonic() + AGAIN_S
            if not template.steps and (template.has_failed or time.monotonic() - template.used_at > IDLE_S):
                self._end(key)

    def close(self) -> None:
        """End all, and what they have forked."""
        for key in list(self._templates):
            self._end(key)

    def _template(self, python: str, args: ExecuteStepArgs) -> _Template | None:
        key = (python, repr(args.origin.repository_origin.code_pointer))
        self.tidy()
        if time.monotonic() < self._not_before.get(key, 0.0):
            return None
        if key not in self._templates:
            if len(self._templates) >= MOST:
                idle = [one for one, template in self._templates.items() if not template.steps]
                if not idle:
                    return None
                self._end(min(idle, key=lambda one: self._templates[one].used_at))
            self._templates[key] = _Template(python, args, self._modules, self._writes, self._say, self._wake)
        return self._templates[key]

    def _end(self, key: tuple[str, str]) -> None:
        self._templates.pop(key).close()


@dataclass
class _Template:
    """One template and the steps that it has forked. Its methods from ``wrote`` on are called from its own thread (``Listener``)."""

    python: str
    first: ExecuteStepArgs  # it is started for this one
    modules: tuple[str, ...]
    writes: ChildWrites
    say: Say
    wake: Callable[[], None]
    steps: dict[AttemptRef, ForkedStep] = field(default_factory=dict)
    used_at: float = field(default_factory=time.monotonic)
    has_failed: bool = False

    def __post_init__(self) -> None:
        command = (self.python, "-m", PROGRAM)
        settings = ProcessSettings(command, argument=self.first, preload=self.modules, ready_ahead=1)
        self._processes = StepProcesses(settings)
        self._processes.attach(self)

    @property
    def pointer(self) -> CodePointer:
        """The code that it has imported."""
        return self.first.origin.repository_origin.code_pointer

    def start(self, order: StepDocument, anew: Callable[[], NewProcess]) -> ForkedStep:
        step = ForkedStep(lambda grace_s: self._processes.stop(order.ref, grace_s), anew)
        self.steps[order.ref] = step
        self.used_at = time.monotonic()
        self._processes.submit(Job(order, _own_output, lambda pid: setattr(step, "pid", pid)))
        return step

    def close(self) -> None:
        self._processes.close()

    def wrote(self, ref: AttemptRef, events: Sequence[NewEvent], size: int) -> None:
        """Steps of queues write into the database."""

    def is_full(self) -> bool:
        return False

    def ended(self, ref: AttemptRef, end: End) -> None:
        step = self.steps.pop(ref)
        self.used_at = time.monotonic()
        code = exit_code(end.status)
        if end.left == "failed":
            self.has_failed = True
            step.has_no_process()
        elif code is None:
            step.ended({"text": end.why_killed or "its process is gone"})
        else:
            step.ended(ended_with(step.pid, code))
        self.wake()

    def refused(self, ref: AttemptRef, why: str) -> None:
        self.steps.pop(ref).has_no_process()
        self.wake()

    def unsafe_to_fork(self, findings: Sequence[str]) -> None:
        self.say(
            f"Steps of {self.pointer} are started anew, each with its own import, which leaves {', '.join(findings)}."
        )

    def wants(self, ref: AttemptRef, kind: str, details: Any, answer: Callable[[bytes | None], None]) -> None:
        """The worker writes for it. What it reads it asks the database for."""
        self.writes.want(ref, kind, details, answer)

    def failed(self, error: BaseException) -> None:
        self.has_failed = True
        self.say(f"The thread that forks steps of {self.pointer} has failed: {type(error).__name__}: {error}")
        for step in [self.steps.pop(ref) for ref in list(self.steps)]:
            step.ended({"text": f"the thread that watched its process failed: {error}"})
        self.wake()


def _own_output() -> tuple[int, int]:
    """A step's output goes where the worker's goes, until it is captured."""
    return os.dup(1), os.dup(2)
