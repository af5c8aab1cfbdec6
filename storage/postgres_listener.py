"""A connection of its own on which Postgres tells what others wrote.

Source: https://www.postgresql.org/docs/current/sql-listen.html
"""

from __future__ import annotations

import select
import threading
import time

from .dialect import quoted
from .libpq.connection import Connection, connect
from .libpq.failures import PostgresError

LISTEN_WITHIN_S = 30.0
POLL_S = 0.25
"""Until a database that could not be listened to is tried again. What is told is a convenience: who waits looks all the same."""


class Listener:
    """Listens to one channel, from the first ``wait`` on. Any thread may wait, one at a time."""

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._lock = threading.Lock()
        # Held while the connection is used or closed, and never while it is waited for.
        self._at_hand = threading.Lock()
        self._connection: Connection | None = None

    @property
    def is_open(self) -> bool:
        """Whether it holds a connection now."""
        return self._connection is not None

    def wait(self, url: str, timeout_s: float) -> bool:
        """Whether something was told, or may have been missed; False: all was silent for `timeout_s`.

        Args:
            url: of the server itself. A pooler passes nothing on.
        """
        with self._lock:
            try:
                connection = self._connection
                if connection is None:
                    self._connection = self._connected(url)
                    return True
                heard, _, _ = select.select([connection.socket], [], [], timeout_s)
                with self._at_hand:
                    connection.forget_notifications()
                return bool(heard)
            except (PostgresError, OSError, ValueError):  # the last two: it was closed meanwhile
                self.close()
                time.sleep(min(timeout_s, POLL_S))
                return True

    def close(self) -> None:
        """Give the connection up."""
        with self._at_hand:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def _connected(self, url: str) -> Connection:
        made = connect(url, {"connect_timeout": "5", "application_name": "runplane listener"})
        try:
            made.script(f"LISTEN {quoted(self._channel)}", LISTEN_WITHIN_S)
        except BaseException:
            made.close()
            raise
        return made
