"""One process of a step, or one that was asked for: its connection, and what is known of it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from selectors import EVENT_READ, EVENT_WRITE

from ..loop import Loop
from ..template.wire import READ_BYTES, Frames, Sender
from .contract import End, Job


class Child:
    """A child and the coordinator's end of its connection.

    Args:
        number: by which the template knows it.
        sock: the connection.
        loop: waits for the connection.
        readable: called when there is something to read, or the end of it.

    Attributes:
        job: what it runs; None while it waits for an order.
        pid: None until it is told.
        status: as ``os.waitpid`` gave it to the template.
        reaped: it is gone, and the template has said so.
        at_end: nothing more is heard of it.
        asked: it was told to stop.
        outcome, left, detail, why_killed: as in ``End``.
    """

    def __init__(self, number: int, sock: socket.socket, loop: Loop, readable: Callable[[Child], None]) -> None:
        self.number = number
        self.frames = Frames()
        self.job: Job | None = None
        self.pid: int | None = None
        self.status: int | None = None
        self.reaped = False
        self.at_end = False
        self.asked = False
        self.outcome = False
        self.left: str | None = None
        self.detail = ""
        self.why_killed: str | None = None
        self._sender = Sender(sock)
        self._loop = loop
        self._readable = readable
        self._output: tuple[int, int] | None = None
        self._is_held = False
        self._attend()

    @property
    def is_idle(self) -> bool:
        """Whether it could take an order."""
        return self.job is None and not self.at_end and not self.reaped

    def end(self) -> End:
        """How it ended."""
        return End(self.outcome, self.status, self.left, self.detail, self.why_killed)

    def say(self, frame: bytes, output: tuple[int, int] | None = None) -> None:
        """Tell it something, with the files of its output beside it; these are closed here once they are sent. When it is gone already, that
        is heard by its end."""
        if output is not None:
            self._output = output
        try:
            self._sender.put(frame, output or ())
        except OSError:
            self._close_output()
            return
        self._after_saying()

    def hold(self) -> None:
        """Leave unread what it writes."""
        self._is_held = True
        self._attend()

    def read_on(self) -> None:
        """The reverse of ``hold``."""
        self._is_held = False
        self._attend()

    def read(self) -> bytes | None:
        """What it wrote; empty at the end, None when there is nothing now."""
        return read(self._sender.sock)

    def deafen(self) -> None:
        """Hear no more of it."""
        if not self.at_end:
            self._loop.wait_for(self._sender.sock, 0, self._on_ready)
            self.at_end = True

    def release(self) -> None:
        """Close what belongs to it."""
        self.deafen()
        self.abandon()

    def abandon(self) -> None:
        """``release`` when the loop is over."""
        self._close_output()
        self._sender.sock.close()

    # Inside -----------------------------------------------------------------------------------------------------------------

    def _attend(self) -> None:
        """Wait for what is wanted of the connection now: to read unless it is held, to write what is left to be said."""
        if self.at_end:
            return
        wanted = 0 if self._is_held else EVENT_READ
        if not self._sender.is_empty:
            wanted |= EVENT_WRITE
        self._loop.wait_for(self._sender.sock, wanted, self._on_ready)

    def _on_ready(self, mask: int) -> None:
        if self.at_end:
            # It ended while this was on its way.
            return
        if mask & EVENT_WRITE:
            try:
                self._sender.flush()
                self._after_saying()
            except OSError:
                # Nobody is there to be told any more; what it wrote is read, and its end heard.
                self._close_output()
                self._sender.forget()
                self._attend()
        if mask & EVENT_READ:
            self._readable(self)

    def _after_saying(self) -> None:
        if self._sender.is_empty:
            self._close_output()
        self._attend()

    def _close_output(self) -> None:
        for fd in self._output or ():
            os.close(fd)
        self._output = None


def read(sock: socket.socket) -> bytes | None:
    """What is there; empty at the end, None when there is nothing now."""
    try:
        return sock.recv(READ_BYTES)
    except (BlockingIOError, InterruptedError):
        return None
    except ConnectionResetError:
        # The other end went away with something of ours unread.
        return b""
