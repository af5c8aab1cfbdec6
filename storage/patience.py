"""Waiting for a database that is away. Unknown is not failed: who is in the middle of a run waits, and says so."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from ..errors import StorageUnavailableError
from .database import Database, Wakes
from .dialect import Dialect, Outcome, Statement

SAY_EVERY_S = 30.0
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0
T = TypeVar("T")


class PatientDatabase:
    """A database whose calls wait until it answers again.

    A transaction that is sent again does nothing twice: every write of ``Journal`` carries a token or a batch number.

    Args:
        inner: the database.
        patience_s: how long a call may wait; None: for ever.
        say: called with a line of text when it is away, and again every ``SAY_EVERY_S`` seconds.
    """

    def __init__(self, inner: Database, *, patience_s: float | None, say: Callable[[str], None]) -> None:
        self._inner = inner
        self._patience_s = patience_s
        self._say = say
        self._given_up = threading.Event()
        self._lock = threading.Lock()
        self._under_way = 0
        self._asked_at = 0.0
        self._waited_s = 0.0

    @property
    def dialect(self) -> Dialect:
        """See ``Database``."""
        return self._inner.dialect

    @property
    def module(self) -> str:
        """Of the class behind it: what a process loads to use this database."""
        return type(self._inner).__module__

    @property
    def where(self) -> str:
        """See ``Database``."""
        return self._inner.where

    @property
    def connections(self) -> int:
        """See ``Database``."""
        return self._inner.connections

    @property
    def waited_s(self) -> float:
        """Seconds in which somebody waited for it so far, those of a call that is under way among them."""
        with self._lock:
            return self._waited_s + (time.monotonic() - self._asked_at if self._under_way else 0.0)

    def set_patience(self, patience_s: float | None) -> None:
        """Change how long later calls may wait."""
        self._patience_s = patience_s

    def give_up(self) -> None:
        """Let waiting calls fail now (this process is told to end)."""
        self._given_up.set()

    def transact(self, statements: Sequence[Statement]) -> list[Outcome]:
        """See ``Database``."""
        return self._patiently(lambda: self._inner.transact(statements))

    def read(self, sql: str, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """See ``Database``."""
        return self._patiently(lambda: self._inner.read(sql, params))

    def wait_for_news(self, timeout_s: float) -> bool:
        """See ``Database``."""
        return self._inner.wait_for_news(timeout_s)

    def wake(self) -> None:
        """See ``Wakes``. Nothing happens where the database is none of these."""
        if isinstance(self._inner, Wakes):
            self._inner.wake()

    def wait_for_queued(self, timeout_s: float) -> bool:
        """See ``Database``."""
        return self._inner.wait_for_queued(timeout_s)

    def release(self) -> None:
        """See ``Database``."""
        self._inner.release()

    def close(self) -> None:
        """See ``Database``."""
        self._inner.close()

    def _patiently(self, call: Callable[[], T]) -> T:
        with self._lock:
            if not self._under_way:
                self._asked_at = time.monotonic()
            self._under_way += 1
        try:
            return self._until_it_answers(call)
        finally:
            with self._lock:
                self._under_way -= 1
                if not self._under_way:
                    self._waited_s += time.monotonic() - self._asked_at

    def _until_it_answers(self, call: Callable[[], T]) -> T:
        began: float | None = None
        said = 0.0
        pause = FIRST_PAUSE_S
        while True:
            try:
                return call()
            except StorageUnavailableError as e:
                now = time.monotonic()
                began = began if began is not None else now
                if self._patience_s is not None and now - began >= self._patience_s:
                    raise
                if now - said >= SAY_EVERY_S:
                    said = now
                    self._say(
                        f"{e.message} Waiting for {self.where} since {now - began:.0f} s; nothing is lost meanwhile."
                    )
                if self._given_up.wait(pause):
                    raise
                pause = min(pause * 2, LONGEST_PAUSE_S)
