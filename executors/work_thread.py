"""One thread that does one thing after the other: tasks as they come, and what is due at its time."""

from __future__ import annotations

import heapq
import itertools
import queue
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Key = TypeVar("Key")


class WorkThread(Generic[Key]):
    """The thread. Tasks may be put from any thread; `wake` is for tasks themselves.

    Args:
        name: of the thread.
        woken: is called with a key, and the time that it was to be woken at, when that has come.
        failed: takes what a task raised; the thread has ended then.
    """

    def __init__(self, name: str, woken: Callable[[Key, float], None], failed: Callable[[BaseException], None]) -> None:
        self._woken = woken
        self._failed = failed
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._timers: list[tuple[float, int, Key]] = []
        self._count = itertools.count()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def put(self, task: Callable[[], None]) -> None:
        """Have this done, after what was put before."""
        self._inbox.put(task)

    def wake(self, key: Key, at: float) -> None:
        """Have the key woken at that time of ``time.monotonic``."""
        heapq.heappush(self._timers, (at, next(self._count), key))

    def close(self) -> None:
        """Do what was put so far, and end; returns when it has ended."""
        self._inbox.put(None)
        self._thread.join()

    def _work(self) -> None:
        try:
            while self._turn():
                pass
        except BaseException as error:  # noqa: BLE001 - whoever relies on the thread is told
            self._failed(error)

    def _turn(self) -> bool:
        wait = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None
        try:
            task = self._inbox.get(timeout=wait)
        except queue.Empty:
            due, _, key = heapq.heappop(self._timers)
            self._woken(key, due)
            return True
        if task is None:
            return False
        task()
        return True
