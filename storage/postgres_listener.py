"""A connection of its own on which Postgres tells what others wrote.

Source: https://www.postgresql.org/docs/current/sql-listen.html
"""

from __future__ import annotations

import select
import threading
import time
from typing import Any

import psycopg
from psycopg import sql

POLL_S = 0.25
"""Until a database that could not be listened to is tried again. What is told is a convenience: who waits looks all the same."""


class Listener:
    """Listens to one channel, from the first ``wait`` on. Any thread may wait, one at a time."""

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None

    @property
    def is_open(self) -> bool:
        """Whether it holds a connection now."""
        connection = self._connection
        return connection is not None and not connection.closed

    def wait(self, url: str, timeout_s: float) -> bool:
        """Whether something was told, or may have been missed; False: all was silent for `timeout_s`.

        Args:
            url: of the server itself. A pooler passes nothing on.
        """
        with self._lock:
            try:
                connection = self._connection
                if connection is None or connection.closed:
                    self._connection = self._connected(url)
                    return True
                heard, _, _ = select.select([connection.fileno()], [], [], timeout_s)
                for _ in connection.notifies(timeout=0):
                    pass
                return bool(heard)
            except (psycopg.Error, OSError, ValueError):  # the last two: it was closed meanwhile
                self._connection = None
                time.sleep(min(timeout_s, POLL_S))
                return True

    def close(self) -> None:
        """Give the connection up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self, url: str) -> psycopg.Connection[tuple[Any, ...]]:
        made = psycopg.connect(url, autocommit=True, connect_timeout=5, application_name="runplane listener")
        made.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel)))
        return made
