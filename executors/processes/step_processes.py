"""Which child gets which job, and what follows from what template and children are heard to say."""

from __future__ import annotations

import signal
import threading
import time
from collections import deque
from functools import partial
from typing import Any

from ...errors import DocumentError
from ...events.causes import ErrorInfo
from ...events.event import NewEvent
from ...storage.contract import AttemptRef
from ..failure import CodeLoadError
from ..loop import Loop
from ..template.wire import OUTCOMES, ordered, read_event, read_told
from .child import Child
from .contract import End, Job, Listener, ProcessSettings
from .ends import exit_code, in_words
from .started import Started
from .template_process import TemplateProcess

EXIT_S = 10.0
"""How long a child may take to end after its outcome."""
HOOKS_S = 600.0
"""How long it may take when its outcome says that hooks follow."""
SILENT_S = 0.7
"""How long a child may live on after it closed its connection: its end is told within a second."""
HOLD_S = 0.05
"""How long what children write is left unread before it is asked again whether there is room for it."""
FORK_TRIES = 8
FORK_BACKOFF_S = 0.05
TEMPLATE_TRIES = 10
"""How often in a row a template may be killed while it imports, before the run is told that the code can not be imported: as often as a
step may be lost to something that is not its own doing."""


class StepProcesses:
    """Makes processes for jobs.

    Args:
        settings: how.
        started: the first template's process, if that was started ahead, by the same settings.

    Attributes:
        findings: what the import left that does not survive a fork; empty where it is safe.
    """

    def __init__(self, settings: ProcessSettings, started: Started | None = None) -> None:
        self.findings: tuple[str, ...] = ()
        self._settings = settings
        self._started = started
        self._fork = settings.fork
        self._listener: Listener | None = None
        self._loop = Loop("runplane-steps", self._ensure_template, self._give_up)
        self._template: TemplateProcess | None = None
        self._lost_templates = 0
        self._children = 0
        self._waiting: deque[Job] = deque()
        self._by_ref: dict[AttemptRef, Child] = {}
        self._held: list[Child] = []
        self._refusals = 0
        self._not_before = 0.0
        self._closing = False
        self._prepared = threading.Event()
        self._error: ErrorInfo | None = None

    # From other threads -----------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Start, and return when the code has been imported where it will run.

        Raises:
            CodeLoadError: it can not be.
        """
        self._loop.start()
        self._prepared.wait()
        if self._error is not None:
            self.close()
            raise CodeLoadError(self._error)

    def attach(self, listener: Listener) -> None:
        """Say who hears of jobs. Before the first ``submit``."""
        self._listener = listener

    def submit(self, job: Job) -> None:
        """Run a job as soon as there is a process for it."""
        self._loop.start()
        self._loop.post(lambda: self._submit(job))

    def stop(self, ref: AttemptRef, grace_s: float) -> None:
        """Have a job's process end: SIGTERM, and after `grace_s` SIGKILL to it and all of its group."""
        self._loop.post(lambda: self._stop(ref, grace_s))

    def close(self) -> None:
        """End everything; return when it is gone.

        A child whose outcome is written gets its time to end, unless others are still at work: then the run did not come to its
        end by itself, and all are killed.
        """
        self._loop.close(self._begin_close)

    # The template -----------------------------------------------------------------------------------------------------------

    def _ensure_template(self) -> None:
        if self._template is not None or self._closing:
            return
        started, self._started = self._started, None
        try:
            self._template = TemplateProcess(
                self._settings, self._fork, self._loop, self._on_template_said, self._on_template_gone, started
            )
        except OSError as error:
            said = f"the process that imports the code can not be started: {error}"
            self._on_load_failed(ErrorInfo(message=f"{said}\n", cls_name=type(error).__name__))

    def _on_template_said(self, template: TemplateProcess, message: list[Any]) -> None:
        name = message[0]
        if name == "loaded":
            self._on_loaded(template, message[1])
        elif name == "failed":
            self._on_load_failed(ErrorInfo.from_body(message[1]))
        elif name == "started":
            self._refusals = 0
        elif name == "refused":
            self._on_fork_refused(template, message[1], message[2])
        elif name == "ended":
            child = template.children[message[1]]
            child.status, child.reaped = message[2], True
            self._read_to_the_end(template, child)
            self._finish(template, child)

    def _on_loaded(self, template: TemplateProcess, findings: list[str]) -> None:
        if findings and template.fork:
            self._spawn_from_now_on(template, findings)
            return
        template.ready = True
        self._lost_templates = 0
        if template.fork and self._settings.import_here:
            self._prepared.set()
        self._fill()

    def _spawn_from_now_on(self, template: TemplateProcess, findings: list[str]) -> None:
        self.findings = tuple(findings)
        self._fork = False
        self._template = None
        template.dismiss()
        self._ensure_template()
        if self._listener is not None:
            self._listener.unsafe_to_fork(findings)

    def _on_load_failed(self, error: ErrorInfo) -> None:
        """Nothing can be run. Before the first order it is the answer of ``prepare``."""
        self._error = error
        self._prepared.set()
        while self._waiting:
            self._end_unstarted(self._waiting.popleft(), End(left="failed", detail=error.message.strip()))

    def _on_lost_import(self, code: int | None) -> None:
        said = f"the process that imports the code {in_words(code)} before the import was done"
        self._on_load_failed(ErrorInfo(message=f"{said}\n", cls_name="TemplateLost"))

    def _on_template_gone(self, template: TemplateProcess) -> None:
        """Its children were killed with it. What they wrote before is still to be read."""
        self._template = None
        template.bury()
        code = template.exit_code
        for child in list(template.children.values()):
            child.why_killed = child.why_killed or f"the template process {in_words(code)}, and its children with it"
            self._read_to_the_end(template, child)
            self._finish(template, child)
        if self._closing:
            self._maybe_end()
            return
        if not template.ready and self._error is None:
            self._lost_templates += 1
            # What leaves by itself would leave again; what was killed may have been in the way of something else.
            left = not self._prepared.is_set() and code >= 0
            if left or self._lost_templates >= TEMPLATE_TRIES:
                self._on_lost_import(code)
        if self._error is None:
            self._ensure_template()

    # Jobs and children ------------------------------------------------------------------------------------------------------

    def _submit(self, job: Job) -> None:
        if self._error is not None:
            self._end_unstarted(job, End(left="failed", detail=self._error.message.strip()))
            return
        self._waiting.append(job)
        self._ensure_template()
        self._fill()

    def _fill(self) -> None:
        """Give orders to children that wait for one, and ask for as many more as are wanted."""
        template = self._template
        if template is None or not template.ready or self._closing:
            return
        idle = [child for child in template.children.values() if child.is_idle]
        while self._waiting and idle:
            self._assign(idle.pop(0), self._waiting.popleft())
        if time.monotonic() < self._not_before:
            return
        ahead = self._settings.ready_ahead if template.fork else 0
        if not self._prepared.is_set():
            ahead = max(ahead, 1)
        for _ in range(len(self._waiting) + ahead - len(idle)):
            self._children += 1
            try:
                child = template.ask_for_child(self._children, partial(self._on_child_readable, template))
            except OSError as error:
                self._back_off(str(error))
                return
            if self._waiting:
                self._assign(child, self._waiting.popleft())

    def _assign(self, child: Child, job: Job) -> None:
        try:
            output = job.open_output()
        except OSError as error:
            self._listening().refused(job.task.ref, f"the files for its output can not be opened: {error}")
            return
        child.job = job
        self._by_ref[job.task.ref] = child
        if child.pid is not None:
            job.began(child.pid)
        child.say(ordered("task", job.task), output)

    def _finish(self, template: TemplateProcess, child: Child) -> None:
        """A child is gone and read to its end."""
        template.children.pop(child.number, None)
        child.release()
        if child.job is not None:
            self._by_ref.pop(child.job.task.ref, None)
            self._listening().ended(child.job.task.ref, child.end())
        elif not self._prepared.is_set() and self._error is None:
            self._on_lost_import(exit_code(child.status))
        if self._closing:
            self._maybe_end()
        elif self._error is None:
            self._fill()

    def _end_unstarted(self, job: Job, end: End) -> None:
        self._listening().ended(job.task.ref, end)

    def _listening(self) -> Listener:
        if self._listener is None:
            raise RuntimeError("a job was submitted before somebody listened")
        return self._listener

    # What children write ----------------------------------------------------------------------------------------------------

    def _on_child_readable(self, template: TemplateProcess, child: Child) -> None:
        if child.job is not None and not self._closing and self._listening().is_full():
            self._hold(child)
            return
        data = child.read()
        if data:
            self._hear(template, child, data)
        elif data is not None:
            self._on_silent(template, child)

    def _hold(self, child: Child) -> None:
        """Leave unread what a child writes, until whoever hears has room."""
        child.hold()
        self._held.append(child)
        if len(self._held) == 1:
            self._loop.after(HOLD_S, self._read_on)

    def _read_on(self) -> None:
        if not self._closing and self._listening().is_full():
            self._loop.after(HOLD_S, self._read_on)
            return
        held, self._held = self._held, []
        for child in held:
            child.read_on()

    def _on_silent(self, template: TemplateProcess, child: Child) -> None:
        """The end of its connection: it has ended, or closed it."""
        child.deafen()
        if not child.reaped:
            limit = EXIT_S if child.outcome else SILENT_S
            self._kill_in(limit, template, child, "it closed its connection to the coordinator and went on")

    def _read_to_the_end(self, template: TemplateProcess, child: Child) -> None:
        """Read what a child wrote before it ended."""
        while not child.at_end:
            data = child.read()
            if not data:
                child.deafen()
                return
            self._hear(template, child, data)

    def _hear(self, template: TemplateProcess, child: Child, data: bytes) -> None:
        events: list[NewEvent] = []
        size = 0
        try:
            for payload in child.frames.feed(data):
                size += len(payload)
                self._on_child_said(template, child, read_told(payload), events)
        except DocumentError as error:
            child.deafen()
            self._kill(template, child, str(error))
        if events and child.job is not None:
            self._listening().wrote(child.job.task.ref, events, size)

    def _on_child_said(
        self, template: TemplateProcess, child: Child, message: list[Any], events: list[NewEvent]
    ) -> None:
        name = message[0]
        if name == "event":
            event = read_event(message[1:])
            events.append(event)
            if not child.outcome and _is_outcome(event, child.job):
                child.outcome = True
                limit = HOOKS_S if event.body.get("hooks") else EXIT_S
                self._kill_in(limit, template, child, "it did not end after its outcome")
        elif name == "value" and child.job is not None:
            kind, details = message[1:]
            self._listening().wants(child.job.task.ref, kind, details, partial(self._answer, child))
        elif name == "born":
            child.pid = int(message[1])
            if child.job is not None:
                child.job.began(child.pid)
        elif name == "left":
            child.left, child.detail = message[1], message[2]
        elif name == "ready":
            self._prepared.set()
        elif name == "failed":
            error = ErrorInfo.from_body(message[1])
            child.left, child.detail = "failed", error.message.strip()
            if not self._prepared.is_set():
                self._error = error
                self._prepared.set()

    def _answer(self, child: Child, value: bytes | None) -> None:
        self._loop.post(lambda: None if child.at_end else child.say(ordered("value", value)))

    # Refusals ---------------------------------------------------------------------------------------------------------------

    def _on_fork_refused(self, template: TemplateProcess, number: int, why: str) -> None:
        """The system has no process to give now. Try again, less and less often; then say so."""
        child = template.children.pop(number)
        child.release()
        if child.job is not None:
            self._by_ref.pop(child.job.task.ref, None)
            self._waiting.appendleft(child.job)
        self._back_off(why)

    def _back_off(self, why: str) -> None:
        if time.monotonic() < self._not_before:
            return
        self._refusals += 1
        if self._refusals >= FORK_TRIES:
            self._refusals = 0
            while self._waiting:
                self._listening().refused(self._waiting.popleft().task.ref, f"no process can be made for it: {why}")
            return
        pause = FORK_BACKOFF_S * 2 ** (self._refusals - 1)
        self._not_before = time.monotonic() + pause
        self._loop.after(pause, self._fill)

    # Stopping ---------------------------------------------------------------------------------------------------------------

    def _stop(self, ref: AttemptRef, grace_s: float) -> None:
        for job in self._waiting:
            if job.task.ref == ref:
                self._waiting.remove(job)
                self._end_unstarted(job, End(why_killed="it was to be stopped before it had a process"))
                return
        child = self._by_ref.get(ref)
        template = self._template
        if child is None or template is None or child.asked or child.outcome:
            return
        child.asked = True
        template.say(ordered("signal", child.number, int(signal.SIGTERM)))
        self._kill_in(grace_s, template, child, f"it did not stop within {grace_s:g} s")

    def _kill_in(self, seconds: float, template: TemplateProcess, child: Child, why: str) -> None:
        self._loop.after(seconds, lambda: self._kill(template, child, why))

    def _kill(self, template: TemplateProcess, child: Child, why: str) -> None:
        if child.reaped or template is not self._template or child.number not in template.children:
            return
        child.why_killed = child.why_killed or why
        template.say(ordered("kill", child.number))

    def _begin_close(self) -> None:
        self._closing = True
        self._maybe_end()

    def _maybe_end(self) -> None:
        template = self._template
        if template is not None:
            busy = [child for child in template.children.values() if child.job is not None]
            if busy and not self._waiting and all(child.outcome for child in busy):
                return
            self._template = None
            template.dismiss()
            for child in template.children.values():
                child.release()
        self._loop.end()
        self._prepared.set()

    def _give_up(self, error: BaseException) -> None:
        """The loop has failed: no job will be run any more."""
        try:
            if self._template is not None:
                self._template.abandon()
            why = f"the thread that runs the steps' processes failed: {type(error).__name__}: {error}"
            self._error = ErrorInfo(message=f"{why}\n", cls_name="RunnerFailed")
            if self._listener is not None:
                self._listener.failed(error)
        finally:
            self._prepared.set()


def _is_outcome(event: NewEvent, job: Job | None) -> bool:
    """Whether it is the outcome of the step that `job` runs."""
    return job is not None and event.kind in OUTCOMES and event.step == job.task.ref.step
