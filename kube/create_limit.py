"""How fast objects are created: so many a second for the whole process, and not at all while the API server asks for a pause."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

CREATES_PER_SECOND = 50.0


class CreateLimit:
    """A bucket of tokens that fills at a rate; a second's worth fits in.

    Args:
        per_second: the rate; None: no limit.
        clock, sleep: the time.
    """

    def __init__(
        self,
        per_second: float | None = CREATES_PER_SECOND,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._interval = 1.0 / per_second if per_second else 0.0
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next = clock() - 1.0

    def wait(self) -> None:
        """Return when the next object may be created."""
        with self._lock:
            now = self._clock()
            at = max(self._next, now - 1.0)
            self._next = at + self._interval
        if at > now:
            self._sleep(at - now)

    def pause(self, seconds: float) -> None:
        """Nothing is created for so long (``Retry-After``)."""
        with self._lock:
            self._next = max(self._next, self._clock() + seconds)


OF_PROCESS = CreateLimit()
"""What all clients of this process share."""
