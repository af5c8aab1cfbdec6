"""The coordinator's side of the template: it keeps a template alive, keeps children ready, hands out orders, and hears everything.

One thread waits for all sockets at once; whoever wants something puts it into its queue and wakes it. It imports no user code, and
nothing it waits for can hold it up: what a child does not read is queued, what a child does not say is not waited for.
"""

from __future__ import annotations

import heapq
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ..errors import DocumentError
from ..events.causes import ErrorInfo
from ..events.event import NewEvent
from ..storage.contract import AttemptRef
from .failure import CodeLoadError
from .template.wire import OUTCOMES, READ_BYTES, Frames, Hello, Sender, Task, ordered, read_told

READY_AHEAD = 4
"""How many children wait for an order, at most."""
EXIT_S = 10.0
"""How long a child may take to end after its outcome."""
HOOKS_S = 600.0
"""How long it may take when its outcome says that hooks follow."""
SILENT_S = 0.7
"""How long a child may live on after it closed its connection: its end is told within a second."""
KILLED_S = 1.0
"""How long what was killed may take to be gone."""
HOLD_S = 0.05
"""How long what children write is left unread before it is asked again whether there is room for it."""
FORK_TRIES = 8
FORK_BACKOFF_S = 0.05
TEMPLATE_TRIES = 10
"""How often in a row a template may be killed while it imports, before the run is told that the code can not be imported: as often as a
step may be lost to something that is not its own doing."""


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """How processes of steps are made.

    Attributes:
        command: argv of the program; a template's or a step's role is added to it. It calls ``template.host.serve``.
        argument: for the program's `load`.
        fork: fork children from a template; False: start each anew.
        import_here: the template imports the code, not each child.
        preload: modules that the template imports besides.
        ready_ahead: how many forked children wait for an order.
        env: environment of the template and its children; None: this process'.
    """

    command: Sequence[str]
    argument: Any
    fork: bool = True
    import_here: bool = True
    preload: tuple[str, ...] = ()
    ready_ahead: int = READY_AHEAD
    env: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class End:
    """How a process ended, and what is known besides.

    Attributes:
        outcome: its outcome was written.
        status: as ``os.waitpid`` gives it; None when nobody could wait for it.
        left: how it said it would leave: ``return``, ``sys.exit``, ``MemoryError``, ``failed`` (its import), an exception's
            name; None when it said nothing.
        detail: what it said besides.
        why_killed: why it was killed from here; None when it was not.
    """

    outcome: bool = False
    status: int | None = None
    left: str | None = None
    detail: str = ""
    why_killed: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """An order and what belongs to it.

    Attributes:
        task: what the process is told.
        open_output: opens the files of its stdout and stderr; the descriptors are closed here.
        began: called with the pid once it has a process, before anything that the process writes is heard.
    """

    task: Task
    open_output: Callable[[], tuple[int, int]]
    began: Callable[[int], None]


class Listener(Protocol):
    """Who hears of jobs. Called from the thread of ``StepProcesses``; must not block."""

    def wrote(self, ref: AttemptRef, events: Sequence[NewEvent], size: int) -> None:
        """Events, in order, and how many bytes they were."""

    def is_full(self) -> bool:
        """Whether to leave unread for now what jobs write; what they can not write they wait with."""

    def ended(self, ref: AttemptRef, end: End) -> None:
        """The process is gone. Nothing more will come of it."""

    def refused(self, ref: AttemptRef, why: str) -> None:
        """No process could be made for it."""

    def unsafe_to_fork(self, findings: Sequence[str]) -> None:
        """The import left something that does not survive a fork; each step is started anew from now on."""

    def failed(self, error: BaseException) -> None:
        """No job will be run any more: the thread that runs them has ended. All processes are gone."""


@dataclass(eq=False)
class _Slot:
    """One child, or one that was asked for."""

    number: int
    sender: Sender
    frames: Frames = field(default_factory=Frames)
    job: Job | None = None
    pid: int | None = None
    status: int | None = None
    reaped: bool = False
    at_end: bool = False
    outcome: bool = False
    left: str | None = None
    detail: str = ""
    asked: bool = False
    why_killed: str | None = None
    output: tuple[int, int] | None = None
    on_ready: Callable[[int], None] = lambda _: None
    waits_for: int = 0
    is_held: bool = False


@dataclass(eq=False)
class _Template:
    process: subprocess.Popen[bytes]
    sender: Sender
    fork: bool
    frames: Frames = field(default_factory=Frames)
    ready: bool = False
    slots: dict[int, _Slot] = field(default_factory=dict)
    child_ends: deque[tuple[socket.socket, ...]] = field(default_factory=deque)


class StepProcesses:
    """Makes processes for jobs.

    Args:
        settings: how.
    """

    def __init__(self, settings: ProcessSettings) -> None:
        self._settings = settings
        self._fork = settings.fork
        self._listener: Listener | None = None
        self._commands: deque[Callable[[], None]] = deque()
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._wake, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._woken, selectors.EVENT_READ, self._on_wake)
        self._deadlines: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._template: _Template | None = None
        self._lost_templates = 0
        self._waiting: deque[Job] = deque()
        self._by_ref: dict[AttemptRef, _Slot] = {}
        self._refusals = 0
        self._not_before = 0.0
        self._held: list[_Slot] = []
        self._closing = False
        self._ended = False
        self._prepared = threading.Event()
        self._error: ErrorInfo | None = None
        self.findings: tuple[str, ...] = ()
        self._thread = threading.Thread(target=self._run, name="runplane-steps", daemon=True)

    # From other threads -----------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Start, and return when the code has been imported where it will run.

        Raises:
            CodeLoadError: it can not be.
        """
        self._start()
        self._prepared.wait()
        if self._error is not None:
            self.close()
            raise CodeLoadError(self._error)

    def attach(self, listener: Listener) -> None:
        """Say who hears of jobs. Before the first ``submit``."""
        self._listener = listener

    def submit(self, job: Job) -> None:
        """Run a job as soon as there is a process for it."""
        self._start()
        self._post(lambda: self._submit(job))

    def stop(self, ref: AttemptRef, grace_s: float) -> None:
        """Have a job's process end: SIGTERM, and after `grace_s` SIGKILL to it and all of its group."""
        self._post(lambda: self._stop(ref, grace_s))

    def close(self) -> None:
        """End everything; return when it is gone.

        A child whose outcome is written gets its time to end, unless others are still at work: then the run did not come to its
        end by itself, and all are killed.
        """
        if self._thread.is_alive():
            self._post(self._begin_close)
            self._thread.join()
        if not self._ended:
            # It never ran, or it failed.
            self._ended = True
            for fd in (self._woken, self._wake):
                os.close(fd)

    def _start(self) -> None:
        if self._thread.ident is None and not self._ended:
            self._thread.start()

    def _post(self, command: Callable[[], None]) -> None:
        self._commands.append(command)
        try:
            os.write(self._wake, b".")
        except BlockingIOError:
            # Full: it will wake anyway.
            return

    # The loop ---------------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._ensure_template()
            while not self._ended:
                timeout = max(0.0, self._deadlines[0][0] - time.monotonic()) if self._deadlines else None
                for key, mask in self._selector.select(timeout):
                    key.data(mask)
                while self._deadlines and self._deadlines[0][0] <= time.monotonic():
                    heapq.heappop(self._deadlines)[2]()
        except BaseException as error:  # noqa: BLE001 - it is told, and ends the run
            # Nobody waits for ever for a thread that is not there any more.
            self._give_up(error)
        finally:
            self._prepared.set()
            self._selector.close()

    def _give_up(self, error: BaseException) -> None:
        template = self._template
        if template is not None:
            template.process.kill()
            template.process.wait()
            _kill_sessions([s.pid for s in template.slots.values() if s.pid is not None])
            for slot in template.slots.values():
                self._close_output(slot)
            senders = [template.sender, *(s.sender for s in template.slots.values())]
            for sock in (*(s.sock for s in senders), *(s for ends in template.child_ends for s in ends)):
                sock.close()
        why = f"the thread that runs the steps' processes failed: {type(error).__name__}: {error}"
        self._error = ErrorInfo(message=f"{why}\n", cls_name="RunnerFailed")
        if self._listener is not None:
            self._listener.failed(error)

    def _on_wake(self, _: int) -> None:
        try:
            os.read(self._woken, 65536)
        except BlockingIOError:
            # Another reader of the same wake-up: there is none, but a spurious one costs nothing.
            return
        while self._commands:
            self._commands.popleft()()

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._deadlines, (time.monotonic() + seconds, self._count, act))

    def _tell(self) -> Listener:
        if self._listener is None:
            raise RuntimeError("a job was submitted before somebody listened")
        return self._listener

    # The template -----------------------------------------------------------------------------------------------------------

    def _ensure_template(self) -> None:
        if self._template is not None or self._closing:
            return
        ours, theirs = socket.socketpair()
        role = ["template", str(theirs.fileno()), str(os.getpid())]
        try:
            process = subprocess.Popen(
                [*self._settings.command, *role],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                env=dict(self._settings.env) if self._settings.env is not None else None,
            )
        except OSError as error:
            ours.close()
            said = f"the process that imports the code can not be started: {error}"
            self._on_load_failed(ErrorInfo(message=f"{said}\n", cls_name=type(error).__name__))
            return
        finally:
            theirs.close()
        template = _Template(process, Sender(ours), self._fork)
        self._template = template
        self._selector.register(ours, selectors.EVENT_READ, lambda mask: self._on_template(template, mask))
        self._say(template, self._hello(template.fork and self._settings.import_here))

    def _hello(self, import_here: bool) -> bytes:
        preload = self._settings.preload if self._fork else ()
        return ordered("hello", Hello(self._settings.argument, import_here, preload))

    def _say(self, template: _Template, frame: bytes, fds: tuple[socket.socket, ...] = ()) -> None:
        """Tell the template something. When it is gone already, that is heard by the end of its socket."""
        try:
            template.sender.put(frame, tuple(s.fileno() for s in fds))
        except OSError:
            for sock in fds:
                sock.close()
            return
        if fds:
            template.child_ends.append(fds)
        self._after_sending(template)

    def _after_sending(self, template: _Template) -> None:
        events = selectors.EVENT_READ
        if template.sender.is_empty:
            while template.child_ends:
                for sock in template.child_ends.popleft():
                    sock.close()
        else:
            events |= selectors.EVENT_WRITE
        key = self._selector.get_key(template.sender.sock)
        if key.events != events:
            self._selector.modify(template.sender.sock, events, key.data)

    def _on_template(self, template: _Template, mask: int) -> None:
        if template is not self._template:
            # It went while this was on its way.
            return
        if mask & selectors.EVENT_WRITE:
            try:
                template.sender.flush()
                self._after_sending(template)
            except OSError:
                self._on_template_gone(template)
                return
        if not mask & selectors.EVENT_READ:
            return
        data = _read(template.sender.sock)
        if data is None:
            return
        try:
            for payload in template.frames.feed(data):
                self._on_template_said(template, read_told(payload))
                if template is not self._template:
                    # It was replaced by what it said.
                    return
        except DocumentError:
            # User code wrote into its connection: it can not be understood any more, and ends like one that was killed.
            template.process.kill()
        if not data:
            self._on_template_gone(template)

    def _on_template_said(self, template: _Template, message: list[Any]) -> None:
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
            slot = template.slots[message[1]]
            slot.status, slot.reaped = message[2], True
            self._drain(slot)
            self._finish(template, slot)

    def _on_loaded(self, template: _Template, findings: list[str]) -> None:
        if findings and template.fork:
            self.findings = tuple(findings)
            self._fork = False
            self._dismiss(template)
            self._ensure_template()
            if self._listener is not None:
                self._listener.unsafe_to_fork(findings)
            return
        template.ready = True
        self._lost_templates = 0
        if template.fork and self._settings.import_here:
            self._prepared.set()
        self._fill()

    def _on_load_failed(self, error: ErrorInfo) -> None:
        """Nothing can be run. Before the first order it is the answer of ``prepare``."""
        self._error = error
        self._prepared.set()
        while self._waiting:
            self._end_unstarted(self._waiting.popleft(), End(left="failed", detail=error.message.strip()))

    def _dismiss(self, template: _Template) -> None:
        """End a template and what it has; wait until it is gone."""
        self._template = None
        with suppress(OSError):
            # It may be gone already.
            template.sender.put(ordered("close"))
        self._bury(template)

    def _bury(self, template: _Template) -> None:
        self._selector.unregister(template.sender.sock)
        try:
            template.process.wait(KILLED_S)
        except subprocess.TimeoutExpired:
            template.process.kill()
            template.process.wait()
        template.sender.sock.close()
        for ends in template.child_ends:
            for sock in ends:
                sock.close()
        _kill_sessions([s.pid for s in template.slots.values() if s.pid is not None and not s.reaped])

    def _on_template_gone(self, template: _Template) -> None:
        """Its children were killed with it. What they wrote before is still to be read."""
        if template is not self._template:
            return
        self._template = None
        self._bury(template)
        code = template.process.returncode
        for slot in list(template.slots.values()):
            slot.why_killed = slot.why_killed or f"the template process {_how(code)}, and its children with it"
            self._drain(slot)
            self._finish(template, slot)
        if self._closing:
            self._maybe_end()
            return
        if not template.ready and self._error is None:
            self._lost_templates += 1
            # What leaves by itself would leave again; what was killed may have been in the way of something else.
            left = not self._prepared.is_set() and code >= 0
            if left or self._lost_templates >= TEMPLATE_TRIES:
                said = f"the process that imports the code {_how(code)} before the import was done"
                self._on_load_failed(ErrorInfo(message=f"{said}\n", cls_name="TemplateLost"))
        if self._error is None:
            self._ensure_template()

    # Slots ------------------------------------------------------------------------------------------------------------------

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
        idle = [s for s in template.slots.values() if s.job is None and not s.at_end and not s.reaped]
        while self._waiting and idle:
            self._assign(idle.pop(0), self._waiting.popleft())
        if time.monotonic() < self._not_before:
            return
        ahead = self._settings.ready_ahead if template.fork else 0
        if not self._prepared.is_set():
            ahead = max(ahead, 1)
        for _ in range(len(self._waiting) + ahead - len(idle)):
            try:
                slot = self._ask_for_child(template)
            except OSError as error:
                self._back_off(str(error))
                return
            if self._waiting:
                self._assign(slot, self._waiting.popleft())

    def _ask_for_child(self, template: _Template) -> _Slot:
        ours, theirs = socket.socketpair()
        self._count += 1
        slot = _Slot(self._count, Sender(ours))
        template.slots[slot.number] = slot
        slot.on_ready = lambda mask: self._on_slot(template, slot, mask)
        self._attend(slot)
        if template.fork:
            self._say(template, ordered("fork", slot.number), (theirs,))
        else:
            self._say(template, ordered("spawn", slot.number, list(self._settings.command)), (theirs,))
            self._say_to(slot, self._hello(True))
        return slot

    def _assign(self, slot: _Slot, job: Job) -> None:
        try:
            slot.output = job.open_output()
        except OSError as error:
            self._waiting_failed(job, f"the files for its output can not be opened: {error}")
            return
        slot.job = job
        self._by_ref[job.task.ref] = slot
        if slot.pid is not None:
            job.began(slot.pid)
        self._say_to(slot, ordered("task", job.task), slot.output)

    def _waiting_failed(self, job: Job, why: str) -> None:
        self._tell().refused(job.task.ref, why)

    def _say_to(self, slot: _Slot, frame: bytes, fds: tuple[int, ...] = ()) -> None:
        """Tell a child something. When it is gone already, that is heard by its end."""
        try:
            slot.sender.put(frame, fds)
        except OSError:
            self._close_output(slot)
            return
        self._after_saying(slot)

    def _after_saying(self, slot: _Slot) -> None:
        if slot.sender.is_empty:
            self._close_output(slot)
        self._attend(slot)

    def _attend(self, slot: _Slot) -> None:
        """Wait for what is wanted of a child's connection now: to read unless it is held, to write what is left to be said."""
        if slot.at_end:
            return
        wanted = 0 if slot.is_held else selectors.EVENT_READ
        if not slot.sender.is_empty:
            wanted |= selectors.EVENT_WRITE
        if not slot.waits_for:
            if wanted:
                self._selector.register(slot.sender.sock, wanted, slot.on_ready)
        elif not wanted:
            self._selector.unregister(slot.sender.sock)
        elif wanted != slot.waits_for:
            self._selector.modify(slot.sender.sock, wanted, slot.on_ready)
        slot.waits_for = wanted

    def _hold(self, slot: _Slot) -> None:
        """Leave unread what a child writes, until whoever hears has room."""
        slot.is_held = True
        self._attend(slot)
        self._held.append(slot)
        if len(self._held) == 1:
            self._after(HOLD_S, self._read_on)

    def _read_on(self) -> None:
        if not self._closing and self._tell().is_full():
            self._after(HOLD_S, self._read_on)
            return
        held, self._held = self._held, []
        for slot in held:
            slot.is_held = False
            self._attend(slot)

    def _close_output(self, slot: _Slot) -> None:
        for fd in slot.output or ():
            os.close(fd)
        slot.output = None

    def _on_slot(self, template: _Template, slot: _Slot, mask: int) -> None:
        if slot.at_end:
            # It ended while this was on its way.
            return
        if mask & selectors.EVENT_WRITE:
            try:
                slot.sender.flush()
                self._after_saying(slot)
            except OSError:
                # Nobody is there to be told any more; what it wrote is read, and its end heard.
                self._close_output(slot)
                slot.sender.forget()
                self._attend(slot)
        if not mask & selectors.EVENT_READ:
            return
        if slot.job is not None and not self._closing and self._tell().is_full():
            self._hold(slot)
            return
        data = _read(slot.sender.sock)
        if data:
            self._hear(template, slot, data)
        elif data is not None:
            self._on_slot_silent(template, slot)

    def _on_slot_silent(self, template: _Template, slot: _Slot) -> None:
        """The end of its connection: it has ended, or closed it."""
        self._deafen(slot)
        if not slot.reaped:
            why = "it closed its connection to the coordinator and went on"
            limit = EXIT_S if slot.outcome else SILENT_S
            self._after(limit, lambda: self._kill(template, slot, why))

    def _drain(self, slot: _Slot) -> None:
        """Read what a child wrote before it ended."""
        while not slot.at_end:
            data = _read(slot.sender.sock)
            if not data:
                self._deafen(slot)
                return
            self._hear(self._template, slot, data)

    def _hear(self, template: _Template | None, slot: _Slot, data: bytes) -> None:
        events: list[NewEvent] = []
        size = 0
        try:
            for payload in slot.frames.feed(data):
                size += len(payload)
                self._on_slot_said(template, slot, read_told(payload), events)
        except DocumentError as error:
            self._deafen(slot)
            if template is not None:
                self._kill(template, slot, str(error))
        if events and slot.job is not None:
            self._tell().wrote(slot.job.task.ref, events, size)

    def _on_slot_said(
        self, template: _Template | None, slot: _Slot, message: list[Any], events: list[NewEvent]
    ) -> None:
        name = message[0]
        if name == "event":
            event = NewEvent(*message[1:])
            events.append(event)
            if (
                slot.job is not None
                and event.kind in OUTCOMES
                and event.step == slot.job.task.ref.step
                and not slot.outcome
            ):
                slot.outcome = True
                if template is not None:
                    known = template
                    limit = HOOKS_S if event.body.get("hooks") else EXIT_S
                    self._after(limit, lambda: self._kill(known, slot, "it did not end after its outcome"))
        elif name == "born":
            slot.pid = int(message[1])
            if slot.job is not None:
                slot.job.began(slot.pid)
        elif name == "left":
            slot.left, slot.detail = message[1], message[2]
        elif name == "ready":
            self._prepared.set()
        elif name == "failed":
            error = ErrorInfo.from_body(message[1])
            slot.left, slot.detail = "failed", error.message.strip()
            if not self._prepared.is_set():
                self._error = error
                self._prepared.set()

    def _deafen(self, slot: _Slot) -> None:
        """Hear no more of a child."""
        if not slot.at_end:
            if slot.waits_for:
                self._selector.unregister(slot.sender.sock)
            slot.at_end = True

    def _release(self, slot: _Slot) -> None:
        """Close what belongs to a child."""
        self._deafen(slot)
        self._close_output(slot)
        slot.sender.sock.close()

    def _finish(self, template: _Template, slot: _Slot) -> None:
        """A child is gone and read to its end."""
        template.slots.pop(slot.number, None)
        self._release(slot)
        if slot.job is not None:
            self._by_ref.pop(slot.job.task.ref, None)
            self._tell().ended(
                slot.job.task.ref, End(slot.outcome, slot.status, slot.left, slot.detail, slot.why_killed)
            )
        elif not self._prepared.is_set() and self._error is None:
            said = f"the process that imports the code {_how(_code(slot.status))} before the import was done"
            self._on_load_failed(ErrorInfo(message=f"{said}\n", cls_name="TemplateLost"))
        if self._closing:
            self._maybe_end()
        elif self._error is None:
            self._fill()

    # Refusals -----------------------------------------------------------------------------------------------------------------

    def _on_fork_refused(self, template: _Template, number: int, why: str) -> None:
        """The system has no process to give now. Try again, less and less often; then say so."""
        slot = template.slots.pop(number)
        self._release(slot)
        if slot.job is not None:
            self._by_ref.pop(slot.job.task.ref, None)
            self._waiting.appendleft(slot.job)
        self._back_off(why)

    def _back_off(self, why: str) -> None:
        if time.monotonic() < self._not_before:
            return
        self._refusals += 1
        if self._refusals >= FORK_TRIES:
            self._refusals = 0
            while self._waiting:
                self._waiting_failed(self._waiting.popleft(), f"no process can be made for it: {why}")
            return
        pause = FORK_BACKOFF_S * 2 ** (self._refusals - 1)
        self._not_before = time.monotonic() + pause
        self._after(pause, self._fill)

    # Stopping -----------------------------------------------------------------------------------------------------------------

    def _stop(self, ref: AttemptRef, grace_s: float) -> None:
        for job in self._waiting:
            if job.task.ref == ref:
                self._waiting.remove(job)
                self._end_unstarted(job, End(why_killed="it was to be stopped before it had a process"))
                return
        slot = self._by_ref.get(ref)
        template = self._template
        if slot is None or template is None or slot.asked or slot.outcome:
            return
        slot.asked = True
        self._say(template, ordered("signal", slot.number, int(signal.SIGTERM)))
        self._after(grace_s, lambda: self._kill(template, slot, f"it did not stop within {grace_s:g} s"))

    def _kill(self, template: _Template, slot: _Slot, why: str) -> None:
        if slot.reaped or template is not self._template or slot.number not in template.slots:
            return
        slot.why_killed = slot.why_killed or why
        self._say(template, ordered("kill", slot.number))

    def _end_unstarted(self, job: Job, end: End) -> None:
        self._tell().ended(job.task.ref, end)

    def _begin_close(self) -> None:
        self._closing = True
        self._maybe_end()

    def _maybe_end(self) -> None:
        template = self._template
        if template is not None:
            busy = [s for s in template.slots.values() if s.job is not None]
            if busy and not self._waiting and all(s.outcome for s in busy):
                return
            self._dismiss(template)
            for slot in template.slots.values():
                self._release(slot)
        self._ended = True
        self._selector.unregister(self._woken)
        os.close(self._woken)
        os.close(self._wake)


def _read(sock: socket.socket) -> bytes | None:
    """What is there; empty at the end, None when there is nothing now."""
    try:
        return sock.recv(READ_BYTES)
    except (BlockingIOError, InterruptedError):
        return None
    except ConnectionResetError:
        # The other end went away with something of ours unread.
        return b""


def _code(status: int | None) -> int | None:
    return None if status is None else os.waitstatus_to_exitcode(status)


def _how(code: int | None) -> str:
    if code is None:
        return "ended"
    if code < 0:
        return f"was killed by {signal_name(-code)}"
    return f"left with exit code {code}"


def signal_name(number: int) -> str:
    """``SIGSEGV`` for 11; the number for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _kill_sessions(leaders: Sequence[int]) -> None:
    """Kill what children of a dead template left behind. Each child led a session of its own."""
    if not leaders:
        return
    if sys.platform != "linux":
        for pid in leaders:
            _kill_if_there(os.killpg, pid)
        return
    wanted, give_up = set(leaders), time.monotonic() + KILLED_S
    while time.monotonic() < give_up:
        left = [int(name) for name in os.listdir("/proc") if name.isdigit() and _session_of(name) in wanted]
        if not left:
            return
        for pid in left:
            _kill_if_there(os.kill, pid)
        time.sleep(0.002)


def _session_of(pid: str) -> int | None:
    """The session that a process is in; None for one that has ended."""
    try:
        text = Path("/proc", pid, "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return None if fields[0] in ("Z", "X") else int(fields[3])


def _kill_if_there(kill: Callable[[int, int], None], pid: int) -> None:
    try:
        kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        # It ended by itself.
        return
