"""What was told to the driver and it has not taken yet.

While the database is away the driver takes nothing. What attempts write meanwhile is kept up to a limit; a runner that is ``Paced``
then stops reading, so that the attempts themselves wait.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Generic, TypeVar

from .contract import StepWrote

ENOUGH_BYTES = 8 * 1024 * 1024
"""As they travelled; as objects they take about five times as much."""
S = TypeVar("S")


class Inbox(Generic[S]):
    """Signals in the order in which they were told. Anybody may tell, a signal handler too; the driver's thread takes."""

    def __init__(self) -> None:
        # SimpleQueue, since `put` may interrupt another `put` of the same thread: signal handlers call it.
        self._signals: queue.SimpleQueue[S] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._bytes = 0

    def put(self, signal: S) -> None:
        """Tell the driver something."""
        self._count(signal, 1)
        self._signals.put(signal)

    def get(self, timeout: float) -> S:
        """The next signal. Raises ``queue.Empty`` when there is none within `timeout` seconds."""
        signal = self._signals.get(timeout=timeout) if timeout else self._signals.get_nowait()
        self._count(signal, -1)
        return signal

    def rest(self) -> Iterator[S]:
        """What is there now, taken one by one."""
        while not self._signals.empty():
            yield self.get(0.0)

    def has_enough(self) -> bool:
        """Whether what attempts wrote and nobody took is as much as may wait here."""
        return self._bytes >= ENOUGH_BYTES

    def _count(self, signal: S, sign: int) -> None:
        # Only what a runner's own thread told has a size: a signal handler never comes to the lock.
        if isinstance(signal, StepWrote) and signal.size:
            with self._lock:
                self._bytes += sign * signal.size
