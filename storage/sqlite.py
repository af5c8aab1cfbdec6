"""SQLite: one file per home, WAL, one writer at a time.

``BEGIN IMMEDIATE`` comes first, so that a writer waits for the other instead of failing in the middle
(https://www.sqlite.org/lang_transaction.html). ``synchronous=NORMAL``: a crash of the process loses nothing; a power loss may cost
the newest transactions (https://www.sqlite.org/pragma.html#pragma_synchronous).
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import RunplaneError, StorageUnavailableError, UnsupportedError
from .dialect import SQLITE, Dialect, Outcome, Statement
from .filesystem import network_file_system
from .schema import ddl
from .version import check_version

BUSY_TIMEOUT_MS = 30_000
POLL_S = 0.05
OLDEST = (3, 38, 0)
"""``json_each`` built in, ``RETURNING`` and ``UPDATE FROM``."""


class SqliteDatabase:
    """One SQLite file (or memory, for an ephemeral instance).

    Args:
        path: the file; None for a database in memory that goes with this object.

    Raises:
        UnsupportedError: the SQLite library is too old, or the file would lie on a network file system.
        SchemaOutdatedError: the file was made by another version.
        StorageUnavailableError: the file can not be opened.
    """

    dialect: Dialect = SQLITE

    def __init__(self, path: Path | None) -> None:
        if sqlite3.sqlite_version_info < OLDEST:
            raise UnsupportedError(
                "the SQLite library of this Python is too old",
                got=sqlite3.sqlite_version,
                expected=".".join(map(str, OLDEST)) + " or later",
            )
        self.path = path
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._seen_version = -1
        if path is not None:
            _refuse_network(path)
        self._connection = self._open()
        _prepare_schema(self._connection, self.where)

    @property
    def where(self) -> str:
        """The file's path."""
        return f"sqlite:{self.path}" if self.path else "sqlite in memory"

    def transact(self, statements: Sequence[Statement]) -> list[Outcome]:
        """See ``Database.transact``. Stops early, with nothing stored, when the first statement matches no row."""
        with self._lock:
            self._refuse_fork()
            try:
                return self._run(statements)
            except sqlite3.OperationalError as e:
                if not _says_unavailable(e):
                    raise
                raise self._unavailable(e) from e

    def read(self, sql: str, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """See ``Database.read``."""
        with self._lock:
            self._refuse_fork()
            try:
                return self._connection.execute(sql, dict(params)).fetchall()
            except sqlite3.OperationalError as e:
                if not _says_unavailable(e):
                    raise
                raise self._unavailable(e) from e

    def wait_for_news(self, timeout_s: float) -> bool:
        """Poll ``PRAGMA data_version``, which changes when another connection commits."""
        end = time.monotonic() + timeout_s
        while True:
            version = self.read("PRAGMA data_version", {})[0][0]
            if version != self._seen_version:
                self._seen_version = version
                return True
            left = end - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(POLL_S, left))

    def release(self) -> None:
        """See ``Database.release``: an open file costs nobody anything."""

    def close(self) -> None:
        """See ``Database.close``."""
        with self._lock:
            self._connection.close()

    def _open(self) -> sqlite3.Connection:
        target = str(self.path) if self.path else ":memory:"
        try:
            connection = sqlite3.connect(
                target, timeout=BUSY_TIMEOUT_MS / 1000, isolation_level=None, check_same_thread=False, cached_statements=256
            )
            connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA foreign_keys = ON")
        except sqlite3.Error as e:
            raise StorageUnavailableError(f"the database can not be opened: {e}", where=self.where) from e
        connection.create_function("now_s", 0, time.time)
        return connection

    def _run(self, statements: Sequence[Statement]) -> list[Outcome]:
        connection = self._connection
        outcomes: list[Outcome] = []
        connection.execute("BEGIN IMMEDIATE")
        try:
            for sql, params in statements:
                cursor = connection.execute(sql, params)
                rows = cursor.fetchall() if cursor.description else []
                outcomes.append(Outcome(len(rows) if cursor.description else cursor.rowcount, rows))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return outcomes

    def _refuse_fork(self) -> None:
        if os.getpid() != self._pid:
            raise RunplaneError("a SQLite connection was carried through a fork; open the database in the child instead")

    def _unavailable(self, e: sqlite3.OperationalError) -> StorageUnavailableError:
        hint = "Is the disk full, or the folder read-only?" if "locked" not in str(e) else "Another process writes for a long time."
        return StorageUnavailableError(f"the database does not take it: {e}", where=self.where, hint=hint)


def _says_unavailable(e: sqlite3.OperationalError) -> bool:
    """SQLite raises one class for a full disk and for a statement that is wrong; only the first kind may be waited out."""
    return any(word in str(e) for word in ("locked", "busy", "disk", "full", "readonly", "read-only", "unable to open", "I/O"))


def _refuse_network(path: Path) -> None:
    kind = network_file_system(path.parent)
    if kind is not None:
        raise UnsupportedError(
            "SQLite may not lie on a network file system: its locks do not hold there",
            where=str(path),
            got=kind,
            hint="Use a local folder, or `storage: {postgres: ...}`.",
        )


def _prepare_schema(connection: sqlite3.Connection, where: str) -> None:
    """Make the tables of a new file; check the version of an old one. Two processes that start at once both pass."""
    if connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'schema_version'").fetchone()[0] == 0:
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'schema_version'").fetchone()[0] == 0:
            for statement in ddl("sqlite").split(";\n"):
                if statement.strip():
                    connection.execute(statement)
        connection.execute("COMMIT")
    check_version(connection.execute("SELECT version_num FROM schema_version").fetchone()[0], where)
