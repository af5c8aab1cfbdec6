"""The template as the coordinator sees it: a process, a connection, and the children that it was asked for."""

from __future__ import annotations

import socket
import subprocess
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any

from ...errors import DocumentError
from ..loop import Loop
from ..template.wire import Frames, Hello, Sender, ordered, read_told
from .child import Child, read
from .contract import ProcessSettings
from .ends import KILLED_S, kill_sessions
from .started import Started


class TemplateProcess:
    """A template that was started.

    Args:
        settings: how.
        fork: whether it forks children; False: it starts each anew, and imports nothing itself.
        loop: waits for its connection.
        said: called with each message of its.
        gone: called when its connection has ended.
        started: its process, if that was started ahead. It belongs to this object from here on.

    Attributes:
        ready: it has imported what it is to import.
        children: by number.

    Raises:
        OSError: it can not be started.
    """

    def __init__(
        self,
        settings: ProcessSettings,
        fork: bool,
        loop: Loop,
        said: Callable[[TemplateProcess, list[Any]], None],
        gone: Callable[[TemplateProcess], None],
        started: Started | None = None,
    ) -> None:
        self.fork = fork
        self.ready = False
        self.children: dict[int, Child] = {}
        self._settings = settings
        self._loop = loop
        self._said = said
        self._gone = gone
        self._frames = Frames()
        self._child_ends: deque[Sequence[socket.socket]] = deque()
        self._is_over = False
        process = (started or Started(settings.command, settings.env)).take()
        self._process = process.process
        self._sender = Sender(process.sock)
        self._loop.wait_for(process.sock, EVENT_READ, self._on_ready)
        preload = settings.preload if fork else ()
        self.say(ordered("hello", Hello(settings.argument, fork and settings.import_here, preload)))

    @property
    def exit_code(self) -> int:
        """Of a template that is gone; negative for a signal."""
        return int(self._process.returncode)

    def ask_for_child(self, number: int, readable: Callable[[Child], None]) -> Child:
        """Have it make a child.

        Raises:
            OSError: no connection can be made now.
        """
        ours, theirs = socket.socketpair()
        child = Child(number, ours, self._loop, readable)
        self.children[number] = child
        if self.fork:
            self.say(ordered("fork", number), [theirs])
        else:
            self.say(ordered("spawn", number, list(self._settings.command)), [theirs])
            child.say(ordered("hello", Hello(self._settings.argument)))
        return child

    def say(self, frame: bytes, child_ends: Sequence[socket.socket] = ()) -> None:
        """Tell it something. When it is gone already, that is heard by the end of its connection."""
        try:
            self._sender.put(frame, tuple(s.fileno() for s in child_ends))
        except OSError:
            for sock in child_ends:
                sock.close()
            return
        if child_ends:
            self._child_ends.append(child_ends)
        self._after_saying()

    def dismiss(self) -> None:
        """End it and what it has; return when it is gone."""
        with suppress(OSError):
            # It may be gone already.
            self._sender.put(ordered("close"))
        self.bury()

    def bury(self) -> None:
        """It was told to end, or has ended: see to it that nothing is left of it."""
        self._is_over = True
        self._loop.wait_for(self._sender.sock, 0, self._on_ready)
        try:
            self._process.wait(KILLED_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._close()
        kill_sessions([c.pid for c in self.children.values() if c.pid is not None and not c.reaped])

    def abandon(self) -> None:
        """Kill it and all its children when the loop is over."""
        self._process.kill()
        self._process.wait()
        kill_sessions([c.pid for c in self.children.values() if c.pid is not None])
        for child in self.children.values():
            child.abandon()
        self._close()

    # Inside -----------------------------------------------------------------------------------------------------------------

    def _after_saying(self) -> None:
        events = EVENT_READ
        if self._sender.is_empty:
            self._close_child_ends()
        else:
            events |= EVENT_WRITE
        self._loop.wait_for(self._sender.sock, events, self._on_ready)

    def _on_ready(self, mask: int) -> None:
        if self._is_over:
            # It went while this was on its way.
            return
        if mask & EVENT_WRITE:
            try:
                self._sender.flush()
                self._after_saying()
            except OSError:
                self._gone(self)
                return
        if not mask & EVENT_READ:
            return
        data = read(self._sender.sock)
        if data is not None:
            self._hear(data)

    def _hear(self, data: bytes) -> None:
        try:
            for payload in self._frames.feed(data):
                self._said(self, read_told(payload))
                if self._is_over:
                    # It was replaced by what it said.
                    return
        except DocumentError:
            # User code wrote into its connection: it can not be understood any more, and ends like one that was killed.
            self._process.kill()
        if not data:
            self._gone(self)

    def _close_child_ends(self) -> None:
        while self._child_ends:
            for sock in self._child_ends.popleft():
                sock.close()

    def _close(self) -> None:
        self._sender.sock.close()
        self._close_child_ends()
