"""What handlers of signals raise in user code, and raise again where Python has dropped it."""

from __future__ import annotations

import signal
import sys
import threading
import weakref
from collections.abc import Callable
from typing import NoReturn

WAKE = signal.SIGUSR1
"""Has the handlers of a run's worker look again, from another thread."""
AGAIN_S = 0.05
"""Until what was dropped is raised again: the code should be elsewhere by then."""


class Interrupts:
    """Raises an exception in the main thread.

    A handler runs wherever the main thread is. In a finalizer, or in a callback of a weak reference, Python drops what it raises, and user
    code runs on as if nothing had been said. The handler is called again then. All this costs nothing until something is raised.

    Source: https://docs.python.org/3/library/sys.html#sys.unraisablehook

    Args:
        number: the signal that has the handler called.
        error: what to raise.
    """

    def __init__(self, number: signal.Signals, error: Callable[[], BaseException]) -> None:
        self._number = number
        self._error = error
        self._before: Callable[[sys.UnraisableHookArgs], object] | None = None
        # Weak, as the frames of user code hang on it.
        self._raised: weakref.ref[BaseException] | None = None
        self._again: threading.Timer | None = None

    @property
    def is_felt(self) -> bool:
        """Whether it was raised, and not dropped."""
        return self._raised is not None and self._again is None

    def interrupt(self) -> NoReturn:
        """Raise in the code that runs now. For the main thread, handlers of signals above all."""
        if self._before is None:
            self._before, sys.unraisablehook = sys.unraisablehook, self._dropped
        if self._again is not None:
            self._again.cancel()
            self._again = None
        error = self._error()
        self._raised = weakref.ref(error)
        raise error

    def end(self) -> None:
        """What was to be interrupted is over: nothing is raised again."""
        if self._before is None:
            return
        if self._again is not None:
            self._again.cancel()
            self._again.join()
        if sys.unraisablehook == self._dropped:  # else user code has one of its own by now
            sys.unraisablehook = self._before
        self._before = self._raised = self._again = None

    def _dropped(self, unraisable: sys.UnraisableHookArgs) -> None:
        error, main = unraisable.exc_value, threading.main_thread().ident
        if error is None or main is None or self._raised is None or self._raised() is not error:
            if self._before is not None:
                self._before(unraisable)
            return
        self._again = threading.Timer(AGAIN_S, signal.pthread_kill, (main, self._number))
        self._again.daemon = True
        self._again.start()
