"""The port between the rules and a database: run one transaction, read rows, wait for news."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from .dialect import Dialect, Outcome, Statement


class Database(Protocol):
    """One database, used by one process. Safe to call from several threads; never carried through a fork."""

    @property
    def dialect(self) -> Dialect:
        """The database's SQL."""

    @property
    def where(self) -> str:
        """Where it is, without secrets, for messages."""

    def transact(self, statements: Sequence[Statement]) -> list[Outcome]:
        """Run all statements in one transaction, in one round trip where the database allows it.

        Raises:
            StorageUnavailableError: no answer; the transaction may or may not have been stored.
        """

    def read(self, sql: str, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run one SELECT.

        Raises:
            StorageUnavailableError: no answer.
        """

    def wait_for_news(self, timeout_s: float) -> bool:
        """Return when another process may have written something, at the latest after `timeout_s`. May return early."""

    def wait_for_queued(self, timeout_s: float) -> bool:
        """Whether something may have been put into a queue of steps (``StepQueues.put`` with `tells`). False: it was silent for `timeout_s`.
        Where nobody can tell, it is True after a moment."""

    @property
    def connections(self) -> int:
        """How many connections are open now."""

    def release(self) -> None:
        """Give up a server's connection until the next call, which opens one; nothing to do where there is no server."""

    def close(self) -> None:
        """Close the connection. The object may not be used again."""


@runtime_checkable
class Wakes(Protocol):
    """A database that nobody tells of news by itself, so that who waits for them can be woken by this process alone."""

    def wake(self) -> None:
        """Have ``wait_for_news`` return now, or the next call of it at once."""
