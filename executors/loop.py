"""One thread that does one thing after the other: what is posted to it, what sockets are ready for, what is due at its time."""

from __future__ import annotations

import heapq
import os
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable


class Loop:
    """Calls what is due: what was posted, what a socket is ready for, what a deadline asks for. All on its own thread.

    Args:
        name: of the thread.
        first: called when it starts.
        failed: called with what any of these calls raised. It is the thread's last call.
    """

    def __init__(self, name: str, first: Callable[[], None], failed: Callable[[BaseException], None]) -> None:
        self._first = first
        self._failed = failed
        self._posted: deque[Callable[[], None]] = deque()
        self._woken, self._wake = os.pipe()
        self._waking = threading.Lock()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._wake, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._woken, selectors.EVENT_READ, self._on_wake)
        self._deadlines: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._ended = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    # From other threads -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread, unless it was started or closed."""
        if self._thread.ident is None and not self._ended:
            self._thread.start()

    def post(self, call: Callable[[], None]) -> None:
        """Have `call` be called soon; never, once the thread has ended."""
        with self._waking:
            if self._ended:
                return  # the descriptor may be somebody else's by now
            self._posted.append(call)
            try:
                os.write(self._wake, b".")
            except BlockingIOError:
                # Full: it will wake anyway.
                return

    def close(self, last: Callable[[], None]) -> None:
        """Have `last` be called, which is to see to it that ``end`` is, and return when the thread has ended."""
        if self._thread.is_alive():
            self.post(last)
            self._thread.join()
        if not self._ended:
            # It never ran, or it failed.
            self._end()

    # From its own thread ----------------------------------------------------------------------------------------------------

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Have `call` be called in `seconds`."""
        self._count += 1
        heapq.heappush(self._deadlines, (time.monotonic() + seconds, self._count, call))

    def wait_for(self, sock: socket.socket | int, events: int, on_ready: Callable[[int], None]) -> None:
        """Wait for these events of a socket, or of another descriptor, from now on (``selectors.EVENT_READ``, ``EVENT_WRITE``); 0: for none."""
        key = self._selector.get_map().get(sock)
        if key is None:
            if events:
                self._selector.register(sock, events, on_ready)
        elif not events:
            self._selector.unregister(sock)
        elif key.events != events:
            self._selector.modify(sock, events, on_ready)

    def end(self) -> None:
        """This turn is the last one."""
        if not self._ended:
            self._selector.unregister(self._woken)
            self._end()

    # Inside -----------------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._first()
            while not self._ended:
                timeout = max(0.0, self._deadlines[0][0] - time.monotonic()) if self._deadlines else None
                for key, mask in self._selector.select(timeout):
                    key.data(mask)
                while self._deadlines and self._deadlines[0][0] <= time.monotonic():
                    heapq.heappop(self._deadlines)[2]()
        except BaseException as error:  # noqa: BLE001 - it is told, and ends the run
            # Nobody waits for ever for a thread that is not there any more.
            self._failed(error)
        finally:
            self._selector.close()

    def _on_wake(self, _: int) -> None:
        try:
            os.read(self._woken, 65536)
        except BlockingIOError:
            # Another reader of the same wake-up: there is none, but a spurious one costs nothing.
            return
        while self._posted:
            self._posted.popleft()()

    def _end(self) -> None:
        with self._waking:
            self._ended = True
            os.close(self._woken)
            os.close(self._wake)
