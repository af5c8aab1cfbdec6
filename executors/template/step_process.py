"""The life of a step's process: it waits for its order, runs one attempt, tells everything, and ends.

Its descriptors 1 and 2 become the log's files, so what is printed is kept whatever happens next. SIGTERM becomes an exception in user
code, once, and never in the middle of a frame.
"""

from __future__ import annotations

import atexit
import logging
import os
import random
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

from ...definitions.code_loading import CodeLoadError
from ...definitions.errors import DagsterExecutionInterruptedError
from ...definitions.user_errors import error_info
from ...events.causes import ErrorInfo
from ...events.event import NewEvent
from ..interrupts import Interrupts
from ..standard_streams import by_line, flush
from .wire import OUTCOMES, Order, Receiver, told, told_event

Emit = Callable[[NewEvent], None]
Ask = Callable[[str, Any], "bytes | None"]
Perform = Callable[[Any, Emit, Ask], None]
"""Carries out an order."""
Load = Callable[[Any], Perform]
"""A program: from its argument (user code is imported here) to what runs one attempt."""

_OUT_OF_MEMORY = told("left", "MemoryError", "")


def live(receiver: Receiver, ready: Callable[[], Perform]) -> NoReturn:
    """Wait for the order, carry it out, and end.

    Args:
        receiver: the socket pair to the coordinator.
        ready: gives what runs the attempt; may import user code.
    """
    receiver.sock.sendall(told("born", os.getpid()))
    try:
        perform = ready()
    except BaseException as error:  # noqa: BLE001 - whatever an import raises is told
        receiver.sock.sendall(told("failed", error_of(error).to_body()))
        _leave(1)
    message = receiver.receive()
    if message is None:
        _leave(0)
    task: Order = message[1]
    _print_to(receiver.fds.popleft(), receiver.fds.popleft())
    _leave(_attempt(receiver, task, perform))


def error_of(error: BaseException) -> ErrorInfo:
    """What failed when code was imported: the user's own error where there is one."""
    return error.error if isinstance(error, CodeLoadError) else error_info(error)


class Voice:
    """Tells the coordinator what happens.

    Args:
        receiver: the socket pair's end.
        task: whose events they are.
    """

    def __init__(self, receiver: Receiver, task: Order) -> None:
        self._receiver = receiver
        self._sock = sock = receiver.sock
        self._task = task
        self._is = _identity(sock)
        self._turn = threading.Lock()
        self._main = threading.main_thread()
        self._speaking = False
        self._waiting = False
        self._deaf = False
        self._interrupts = Interrupts(signal.SIGTERM, DagsterExecutionInterruptedError)

    def emit(self, event: NewEvent) -> None:
        """Tell one event. It is with the coordinator when this returns.

        Raises:
            DagsterExecutionInterruptedError: the step was told to stop meanwhile.
            ConnectionError: the connection is not there any more.
        """
        frame = told_event(event)
        with self._undisturbed():
            self._must_be_ours()
            with self._turn:
                self._sock.sendall(frame)
            if event.kind in OUTCOMES and event.step == self._task.ref.step:
                # From here on there is nothing left to interrupt.
                self._deaf = True

    def ask(self, kind: str, details: Any) -> bytes | None:
        """Ask the coordinator for a value that the database keeps, and wait for it; None: there is none.

        Raises:
            As ``emit``.
        """
        with self._undisturbed():
            self._must_be_ours()
            with self._turn:
                self._sock.sendall(told("value", kind, details))
                answer = self._receiver.receive()
        if answer is None:
            raise ConnectionError("the coordinator of the step's process is gone")
        found: bytes | None = answer[1]
        return found

    def _must_be_ours(self) -> None:
        if _identity(self._sock) != self._is:
            # The number now stands for something of the user's; what is written there would spoil it.
            raise ConnectionError("user code closed the connection of the step's process to its coordinator")

    def say(self, frame: bytes) -> None:
        """Tell something that is no event, as far as there is somebody who listens."""
        self._deaf = True
        if _identity(self._sock) == self._is:
            self._sock.sendall(frame)

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """The handler of SIGTERM: raise in user code, once."""
        self._waiting = True
        if not self._speaking:
            self._raise_once()

    def _raise_once(self) -> None:
        if self._waiting and not self._deaf and not self._interrupts.is_felt:
            self._interrupts.interrupt()

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """Signal handlers run in the main thread: only there a frame could be torn."""
        if threading.current_thread() is not self._main:
            yield
            return
        self._speaking = True
        try:
            yield
        finally:
            self._speaking = False
        self._raise_once()


def _attempt(receiver: Receiver, task: Order, perform: Perform) -> int:
    """Run one attempt; the exit code."""
    voice = Voice(receiver, task)
    signal.signal(signal.SIGTERM, voice.interrupt)
    try:
        perform(task, voice.emit, voice.ask)
    except SystemExit as leaving:
        voice.say(told("left", "sys.exit", str(leaving.code)))
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except MemoryError:
        voice.say(_OUT_OF_MEMORY)
        return 1
    except BaseException as error:  # noqa: BLE001 - nobody else is there to tell it
        voice.say(told("left", type(error).__name__, error_info(error).message.strip()))
        return 1
    voice.say(told("left", "return", ""))
    return 0


def _identity(sock: socket.socket) -> tuple[int, int]:
    try:
        found = os.fstat(sock.fileno())
    except OSError:
        return (0, 0)
    return (found.st_dev, found.st_ino)


def _print_to(out: int, err: int) -> None:
    """What the process prints goes to these files, line by line."""
    for fd, standard in ((out, 1), (err, 2)):
        os.dup2(fd, standard)
        os.close(fd)
    by_line()


def forget_the_template() -> None:
    """In a forked child: what would be shared with its siblings and must not be.

    What the import registered to be done at exit (remove a folder, say) is the template's to do. Random numbers start anew, as they
    do in a process of one's own.
    """
    atexit._clear()
    random.seed()
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def _leave(code: int) -> NoReturn:
    """End as a program ends (threads, exit handlers, buffers), without taking the interpreter down object by object."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        logging.shutdown()
    finally:
        flush()
        os._exit(code)
