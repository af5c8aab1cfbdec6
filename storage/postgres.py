"""Postgres: one pipelined round trip per transaction (``pipeline.py``), no session state that matters.

Through a transaction-pooling pgBouncer each transaction may meet another server process: time-outs are then set inside the
transaction and nothing is kept prepared. On a direct connection both are set once. Which of the two it is, the connection is asked.

Sources: https://www.pgbouncer.org/features.html, https://www.postgresql.org/docs/current/runtime-config-client.html.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import RunplaneError, StorageUnavailableError
from .dialect import Dialect, Outcome, Statement, literal, postgresql, queue_channel, quoted
from .libpq import failures
from .libpq.answers import Answer
from .libpq.connection import Connection, connect
from .libpq.conninfo import parsed
from .libpq.failures import PostgresError, RefusedError
from .pipeline import Pipeline
from .postgres_listener import POLL_S, Listener
from .schema import ddl
from .version import VERSION_QUERY, check_version

LOCK_TIMEOUT_S = 5.0
IDLE_IN_TRANSACTION_S = 10.0
ANSWER_WITHIN_S = 30.0
"""A server that is frozen, or cut off without a word, is silent; a statement of ours is never under way for so long."""
MADE_WITHIN_S = 60.0
"""Tables, and the wait for another process that makes them at the same time."""
_DEFAULTS = {
    "application_name": "runplane",
    "keepalives": "1",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
_DIALECTS: dict[str, Dialect] = {}


class PostgresDatabase:
    """One connection to a Postgres database, opened at first use and again when it broke.

    Args:
        url: libpq connection string or URL.
        schema: the schema that holds our tables.
        direct_url: a connection string that does not lead through a pooler, for LISTEN; None: `url`, if that is found to be direct,
            else news are polled for.
        autocreate: make schema and tables in a database that has none.
        answer_within_s: how long the server may be silent before it counts as away.
        lock_timeout_s: how long a transaction waits for a lock.
    """

    def __init__(
        self,
        url: str,
        *,
        schema: str = "runplane",
        direct_url: str | None = None,
        autocreate: bool = True,
        answer_within_s: float = ANSWER_WITHIN_S,
        lock_timeout_s: float = LOCK_TIMEOUT_S,
    ) -> None:
        self.dialect: Dialect = _DIALECTS.setdefault(schema, postgresql(schema))
        self.schema = schema
        self._url = url
        self._direct_url = direct_url
        self._autocreate = autocreate
        self._answer_within_s = answer_within_s
        self._lock_timeout_s = lock_timeout_s
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._connection: Connection | None = None
        self._pipeline: Pipeline | None = None
        self._limits: list[Statement] = []
        self._runs, self._queues = Listener(schema), Listener(queue_channel(schema))
        self._checked = False

    @property
    def where(self) -> str:
        """Host, port and database, without user and password."""
        parts = parsed(self._url)
        return f"postgres {parts.get('host', 'localhost')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"

    @property
    def connections(self) -> int:
        """See ``Database.connections``."""
        own = self._connection is not None
        return own + self._runs.is_open + self._queues.is_open

    def transact(self, statements: Sequence[Statement]) -> list[Outcome]:
        """See ``Database.transact``: all statements and the end of the transaction travel together."""
        with self._lock:
            self._connect()
            try:
                return self._run([*self._limits, *statements])[len(self._limits) :]
            except PostgresError as e:
                if isinstance(e, RefusedError) and e.sqlstate == failures.LOCK_NOT_AVAILABLE:
                    self._free_frozen()
                    raise StorageUnavailableError(
                        f"a lock was not to be had within {self._lock_timeout_s:g} s: {e}", where=self.where
                    ) from e
                raise self._unless_refused(e) from e

    def read(self, text: str, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """See ``Database.read``."""
        with self._lock:
            self._connect()
            try:
                return self._run([Statement(text, dict(params))])[0].rows
            except PostgresError as e:
                raise self._unless_refused(e) from e

    def wait_for_news(self, timeout_s: float) -> bool:
        """Wait for a notification, or for one poll interval: only statuses and outcomes are told, the rest is polled for."""
        if self._direct_url is None:
            time.sleep(min(timeout_s, POLL_S))
            return True
        self._runs.wait(self._direct_url, min(timeout_s, POLL_S))
        return True

    def wait_for_queued(self, timeout_s: float) -> bool:
        """See ``Database``. Behind a pooler nobody tells, so who waits looks four times a second."""
        if self._direct_url is None:
            time.sleep(min(timeout_s, POLL_S))
            return True
        return self._queues.wait(self._direct_url, timeout_s)

    def release(self) -> None:
        """See ``Database.release``."""
        self.close()

    def close(self) -> None:
        """See ``Database.close``."""
        with self._lock:
            self._drop()
        self._runs.close()
        self._queues.close()

    def _connect(self) -> None:
        if os.getpid() != self._pid:
            raise RunplaneError(
                "a Postgres connection was carried through a fork; open the database in the child instead"
            )
        if self._pipeline is None:
            try:
                self._open()
            except PostgresError as e:
                raise self._unless_refused(e) from e

    def _run(self, statements: Sequence[Statement]) -> list[Outcome]:
        assert self._pipeline is not None  # _connect was called
        try:
            return self._pipeline.run(statements)
        except PostgresError:
            raise
        except BaseException:  # a signal's handler raised
            self._drop()
            raise

    def _open(self) -> None:
        connection = connect(self._url, _DEFAULTS)
        try:
            self._make_ready(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def _make_ready(self, connection: Connection) -> None:
        """Ask and set all that a new connection needs, in one round trip; more only where there are no tables yet."""
        try:
            direct = self._greet(connection)
        except RefusedError as e:
            if e.sqlstate != failures.UNDEFINED_TABLE:
                raise
            _make_schema(connection, self.schema, self.where, autocreate=self._autocreate)
            direct = self._greet(connection)
        if direct:
            self._direct_url = self._direct_url or self._url
        self._limits = [] if direct else [Statement(self._transaction_settings(), {})]
        self._pipeline = Pipeline(connection, prepares=direct, answer_within_s=self._answer_within_s)

    def _greet(self, connection: Connection) -> bool:
        """Check the schema's version, once, and set the time-outs of a direct connection. Returns whether it is one.

        A pooler hands out a process id of its own making: where the server has another one, somebody stands between.
        """
        direct = f"pg_backend_pid() = {connection.backend_pid}"
        text = f"SELECT {direct}, CASE WHEN {direct} THEN {self._session_settings()} END"
        if not self._checked:
            tables = {name: f"{quoted(self.schema)}.{name}" for name in ("schema_version", "schema_serves")}
            text = f"{VERSION_QUERY.format(**tables)}; {text}"
        *versions, last = connection.script(text, self._answer_within_s)
        for answer in versions:
            version, oldest = answer.rows[0] if answer.rows else ("none", "none")
            check_version(version, oldest, self.where)
            self._checked = True
        return bool(last.rows[0][0])

    def _session_settings(self) -> str:
        # Our statements are short and touch rows by key: planning each of them again costs more than a better plan could save.
        settings = {
            "lock_timeout": int(self._lock_timeout_s * 1000),
            "idle_in_transaction_session_timeout": int(IDLE_IN_TRANSACTION_S * 1000),
            "plan_cache_mode": "force_generic_plan",
            "jit": "off",
        }
        return " || ".join(f"set_config('{name}', '{value}', false)" for name, value in settings.items())

    def _transaction_settings(self) -> str:
        return (
            f"SELECT set_config('lock_timeout', '{int(self._lock_timeout_s * 1000)}', true),"
            f" set_config('idle_in_transaction_session_timeout', '{int(IDLE_IN_TRANSACTION_S * 1000)}', true)"
        )

    def _free_frozen(self) -> None:
        """End transactions of ours whose client went silent in the middle of sending them.

        ``idle_in_transaction_session_timeout`` does not see these: the server is waiting for the rest of a pipeline, which does
        not count as idle.
        """
        text = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database()"
            " AND usename = current_user AND application_name = current_setting('application_name') AND pid <> pg_backend_pid()"
            " AND wait_event = 'ClientRead' AND backend_xid IS NOT NULL"
            f" AND xact_start < clock_timestamp() - interval '{IDLE_IN_TRANSACTION_S:g} seconds'"
        )
        try:
            self._run([Statement(text, {})])
        except PostgresError as e:
            raise self._unless_refused(e) from e

    def _unless_refused(self, e: PostgresError) -> PostgresError | StorageUnavailableError:
        """What to raise for a failure: that it is away, where it may be back for the next try."""
        if not e.may_pass:
            return e
        self._drop()
        return StorageUnavailableError(f"the database does not answer: {e}", where=self.where)

    def _drop(self) -> None:
        """Give up a connection on which something is under way: an answer that comes late would be taken for that to the next call."""
        connection, self._connection, self._pipeline = self._connection, None, None
        if connection is not None:
            connection.close()


def _make_schema(connection: Connection, schema: str, where: str, *, autocreate: bool) -> None:
    """Make our tables. Two processes that start at once both pass."""
    if not autocreate:
        raise RunplaneError(
            "the database has no tables of runplane, and `should_autocreate_tables` is off",
            where=where,
            hint="Run `runplane instance migrate`.",
        )

    def run(text: str) -> list[Answer]:
        return connection.script(text, MADE_WITHIN_S)

    table = f"{quoted(schema)}.schema_version"
    run("BEGIN")
    run(f"SELECT pg_advisory_xact_lock(hashtextextended({literal('runplane schema ' + schema)}, 0))")
    (found,) = run(f"SELECT to_regclass({literal(table)})")
    if found.rows == [(None,)]:
        run(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}")
        run(f"SET LOCAL search_path TO {quoted(schema)}")
        run(ddl("postgresql"))
    run("COMMIT")
