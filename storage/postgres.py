"""Postgres: one pipelined round trip per transaction, no session state.

No session state means that a transaction-pooling pgBouncer works: time-outs are set inside each transaction, statements are
prepared only on a direct connection. Sources: https://www.psycopg.org/psycopg3/docs/advanced/pipeline.html,
https://www.pgbouncer.org/features.html.
"""

from __future__ import annotations

import os
import re
import select
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import conninfo, sql

from ..errors import RunplaneError, StorageUnavailableError
from .dialect import Dialect, Outcome, Statement, postgresql
from .schema import ddl
from .version import check_version

LOCK_TIMEOUT = "5s"
IDLE_IN_TRANSACTION_TIMEOUT = "10s"
POLL_S = 0.25
_NAMED = re.compile(r"(?<!:):([a-z_]+)")
_LIMITS = (
    f"SELECT set_config('lock_timeout', '{LOCK_TIMEOUT}', true),"
    f" set_config('idle_in_transaction_session_timeout', '{IDLE_IN_TRANSACTION_TIMEOUT}', true)"
)
_KEEPALIVES = {"keepalives": 1, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000}
_DIALECTS: dict[str, Dialect] = {}
_TEXTS: dict[str, str] = {}


class PostgresDatabase:
    """One connection to a Postgres database, opened at first use and again when it broke.

    Args:
        url: libpq connection string or URL.
        schema: the schema that holds our tables.
        direct_url: a connection string that does not lead through a pooler, for LISTEN; None: news are polled for.
        autocreate: make schema and tables in a database that has none.
    """

    def __init__(self, url: str, *, schema: str = "runplane", direct_url: str | None = None, autocreate: bool = True) -> None:
        self.dialect: Dialect = _DIALECTS.setdefault(schema, postgresql(schema))
        self.schema = schema
        self._url = url
        self._direct_url = direct_url
        self._autocreate = autocreate
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._listener: psycopg.Connection[tuple[Any, ...]] | None = None
        self._checked = False

    @property
    def where(self) -> str:
        """Host, port and database, without user and password."""
        parts = conninfo.conninfo_to_dict(self._url)
        return f"postgres {parts.get('host', 'localhost')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"

    def transact(self, statements: Sequence[Statement]) -> list[Outcome]:
        """See ``Database.transact``: BEGIN, all statements and COMMIT travel together."""
        with self._lock:
            connection = self._connected()
            try:
                return _pipelined(connection, statements)
            except (psycopg.OperationalError, psycopg.InterfaceError) as e:
                raise self._unavailable(e) from e
            except psycopg.Error:
                self._recover(connection)
                raise

    def read(self, text: str, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """See ``Database.read``."""
        with self._lock:
            connection = self._connected()
            try:
                return connection.execute(_psycopg_text(text), dict(params)).fetchall()
            except (psycopg.OperationalError, psycopg.InterfaceError) as e:
                raise self._unavailable(e) from e

    def wait_for_news(self, timeout_s: float) -> bool:
        """With a direct URL, wait for a notification; without, sleep for one poll interval."""
        if self._direct_url is None:
            time.sleep(min(timeout_s, POLL_S))
            return True
        return self._listen(timeout_s)

    def release(self) -> None:
        """See ``Database.release``."""
        self.close()

    def close(self) -> None:
        """See ``Database.close``."""
        with self._lock:
            for connection in (self._connection, self._listener):
                if connection is not None:
                    connection.close()
            self._connection = self._listener = None

    def _connected(self) -> psycopg.Connection[tuple[Any, ...]]:
        if os.getpid() != self._pid:
            raise RunplaneError("a Postgres connection was carried through a fork; open the database in the child instead")
        if self._connection is None or self._connection.closed:
            try:
                self._connection = self._open()
                if not self._checked:
                    _prepare_schema(self._connection, self.schema, self.where, autocreate=self._autocreate)
                    self._checked = True
            except (psycopg.OperationalError, psycopg.InterfaceError) as e:
                raise self._unavailable(e) from e
        return self._connection

    def _open(self) -> psycopg.Connection[tuple[Any, ...]]:
        given = conninfo.conninfo_to_dict(self._url)
        extra: dict[str, Any] = {k: v for k, v in _KEEPALIVES.items() if k not in given}
        extra.setdefault("connect_timeout", given.get("connect_timeout", 10))
        extra.setdefault("application_name", given.get("application_name", "runplane"))
        connection = psycopg.connect(self._url, autocommit=True, prepare_threshold=None, **extra)
        if _is_direct(connection):
            connection.prepare_threshold = 2
        return connection

    def _recover(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        try:
            connection.execute("ROLLBACK")
        except psycopg.Error:
            connection.close()

    def _unavailable(self, e: Exception) -> StorageUnavailableError:
        # What is left of the connection after an error in a pipeline is not worth keeping.
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        return StorageUnavailableError(f"the database does not answer: {str(e).strip()}", where=self.where)

    def _listen(self, timeout_s: float) -> bool:
        try:
            if self._listener is None or self._listener.closed:
                self._listener = psycopg.connect(self._direct_url or "", autocommit=True, connect_timeout=5)
                self._listener.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self.schema)))
            ready, _, _ = select.select([self._listener.fileno()], [], [], timeout_s)
            for _ in self._listener.notifies(timeout=0):
                pass
            return bool(ready)
        except psycopg.Error:
            # News are a convenience; the reader polls all the same.
            self._listener = None
            time.sleep(min(timeout_s, POLL_S))
            return True


def _pipelined(connection: psycopg.Connection[tuple[Any, ...]], statements: Sequence[Statement]) -> list[Outcome]:
    cursors = []
    with connection.pipeline():
        connection.execute("BEGIN")
        connection.execute(_LIMITS)
        for text, params in statements:
            cursors.append(connection.execute(_psycopg_text(text), params))
        connection.execute("COMMIT")
    return [Outcome(c.rowcount, c.fetchall() if c.description else []) for c in cursors]


def _psycopg_text(text: str) -> str:
    """``:name`` -> ``%(name)s``; texts are few and kept."""
    found = _TEXTS.get(text)
    if found is None:
        found = _TEXTS[text] = _NAMED.sub(r"%(\1)s", text.replace("%", "%%"))
    return found


def _is_direct(connection: psycopg.Connection[tuple[Any, ...]]) -> bool:
    """Whether no pooler stands between: a pooler hands out a process id of its own making."""
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    return row is not None and row[0] == connection.info.backend_pid


def _prepare_schema(connection: psycopg.Connection[tuple[Any, ...]], schema: str, where: str, *, autocreate: bool) -> None:
    """Make our tables where there are none; check their version. Two processes that start at once both pass."""
    version_table = sql.Identifier(schema, "schema_version")
    exists = "SELECT to_regclass(%s)"
    name = version_table.as_string(connection)
    row = connection.execute(exists, (name,)).fetchone()
    if row is None or row[0] is None:
        if not autocreate:
            raise RunplaneError(
                "the database has no tables of runplane, and `should_autocreate_tables` is off", where=where,
                hint="Run `runplane instance migrate`.",
            )
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", ("runplane schema " + schema,))
            row = connection.execute(exists, (name,)).fetchone()
            if row is None or row[0] is None:
                connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
                connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(sql.Identifier(schema)))
                connection.execute(ddl("postgresql").encode())
    found = connection.execute(sql.SQL("SELECT version_num FROM {}").format(version_table)).fetchone()
    check_version(found[0] if found else "none", where)
