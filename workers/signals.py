"""What a worker does when it is told to end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from ..executors.interrupts import WAKE, Interrupts


class ToldToLeave(KeyboardInterrupt):
    """SIGTERM came while there was nothing to interrupt or to drain. Raised in the main thread."""


def leave_on_sigterm() -> None:
    """From here on SIGTERM raises ``ToldToLeave``, until something else handles it.

    The first process of a container has no default action for a signal: without a handler it would ignore SIGTERM while it waits
    for its database or imports user code.
    """
    told = Interrupts(signal.SIGTERM, ToldToLeave)

    def leave(_number: int, _frame: FrameType | None) -> None:
        told.interrupt()

    signal.signal(signal.SIGTERM, leave)


@contextmanager
def handled(on_leave: Callable[[], None], on_cancel: Callable[[], None], on_wake: Callable[[], None]) -> Iterator[None]:
    """While inside: SIGTERM calls `on_leave`; SIGINT (Ctrl-C) calls `on_cancel`, and a second one kills this process;
    ``wake_main_thread`` calls `on_wake`.

    Both are called in the main thread between two bytecodes: they may only put something into a queue or raise.
    """
    interrupts = 0

    def on_int(_number: int, _frame: FrameType | None) -> None:
        nonlocal interrupts
        interrupts += 1
        if interrupts > 1:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.raise_signal(signal.SIGINT)
        on_cancel()

    def on_term(_number: int, _frame: FrameType | None) -> None:
        on_leave()

    def on_wake_up(_number: int, _frame: FrameType | None) -> None:
        on_wake()

    before: dict[int, Any] = {
        WAKE: signal.signal(WAKE, on_wake_up),
        signal.SIGINT: signal.signal(signal.SIGINT, on_int),
        signal.SIGTERM: signal.signal(signal.SIGTERM, on_term),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def wake_main_thread() -> None:
    """From another thread: have `on_wake` called in the main thread, even when it is inside a blocking call."""
    main = threading.main_thread().ident
    if main is not None:
        signal.pthread_kill(main, WAKE)
