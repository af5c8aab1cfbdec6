"""Wakes threads that wait for something to do."""

from __future__ import annotations

import threading
import time


class Bell:
    """Rung by anybody; each waiter hears every ring that came after the last one it heard."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._rings = 0

    def ring(self) -> None:
        """Wake all who wait, and whoever waits next."""
        with self._changed:
            self._rings += 1
            self._changed.notify_all()

    @property
    def rings(self) -> int:
        """How often it was rung: what ``wait`` is to be given."""
        return self._rings

    def wait(self, heard: int, timeout_s: float) -> int:
        """Return when it has been rung more often than `heard`, at the latest after `timeout_s`; how often it was rung."""
        end = time.monotonic() + timeout_s
        with self._changed:
            while self._rings == heard:
                left = end - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            return self._rings
