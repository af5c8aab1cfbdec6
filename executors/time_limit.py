"""A time limit for code that runs in this process' main thread: an alarm that raises in it.

Source: https://docs.python.org/3/library/signal.html#signal.setitimer
"""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

from ..definitions.errors import DagsterExecutionInterruptedError
from .interrupts import Interrupts


class TimeLimit:
    """While inside: after `seconds` the code is interrupted, once. Elsewhere than in the main thread nothing can be: `passed` stays
    False there.

    Args:
        seconds: the limit, or None for none.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._before: Any = None
        self._interrupts: Interrupts | None = None
        self.passed = False

    def __enter__(self) -> TimeLimit:
        if self._applies():
            self._interrupts = interrupts = Interrupts(signal.SIGALRM, DagsterExecutionInterruptedError)

            def ring(_number: int, _frame: FrameType | None) -> None:
                self.passed = True
                interrupts.interrupt()

            self._before = signal.signal(signal.SIGALRM, ring)
            signal.setitimer(signal.ITIMER_REAL, self._seconds or 0.0)
        return self

    def __exit__(self, *exc: object) -> None:
        if self._interrupts is not None:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            try:
                self._interrupts.end()
            finally:
                signal.signal(signal.SIGALRM, self._before)

    def _applies(self) -> bool:
        return self._seconds is not None and threading.current_thread() is threading.main_thread()
