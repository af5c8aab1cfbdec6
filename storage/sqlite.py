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
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import RunplaneError, StorageUnavailableError, UnsupportedError
from .dialect import SQLITE, Dialect, Outcome, Statement
from .filesystem import network_file_system
from .schema import ddl
from .sqlite_locks import describe, lock_holder
from .version import VERSION_QUERY, check_version

BUSY_TIMEOUT_S = 30.0
POLL_S = 0.05
LOOK_S = 0.25
OLDEST = (3, 38, 0)
"""``json_each`` built in, ``RETURNING`` and ``UPDATE FROM``."""


class SqliteDatabase:
    """One SQLite file (or memory, for an ephemeral instance).

    Args:
        path: the file; None for a database in memory that goes with this object.
        busy_timeout_s: how long to wait for another process that writes.

    Raises:
        UnsupportedError: the SQLite library is too old, or the file would lie on a network file system.
        SchemaOutdatedError: the file was made by another version.
        StorageUnavailableError: the file can not be opened.
    """

    dialect: Dialect = SQLITE

    def __init__(self, path: Path | None, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        if sqlite3.sqlite_version_info < OLDEST:
            raise UnsupportedError(
                "the SQLite library of this Python is too old",
                got=sqlite3.sqlite_version,
                expected=".".join(map(str, OLDEST)) + " or later",
            )
        self.path = path
        self._busy_timeout_s = busy_timeout_s
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._seen: tuple[int, int] | None = None
        self._commits = 0
        self._woken = threading.Event()
        if path is not None:
            _refuse_network(path)
        self._connection = self._open()
        # Who forgets to close it (an ephemeral instance goes with its last reference) leaves no open connection behind. Not at
        # exit: a forked child must not close its parent's.
        weakref.finalize(self, self._connection.close).atexit = False
        _prepare_schema(self._connection, self.where)

    @property
    def where(self) -> str:
        """The file's path."""
        return f"sqlite:{self.path}" if self.path else "sqlite in memory"

    @property
    def connections(self) -> int:
        """See ``Database.connections``: the one, opened with the object."""
        return 1

    def transact(self, statements: Sequence[Statement]) -> list[Outcome]:
        """See ``Database.transact``."""
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
        """Poll ``PRAGMA data_version``, which changes when another connection commits; and count what this one commits."""
        end = time.monotonic() + timeout_s
        while True:
            seen = (self.read("PRAGMA data_version", {})[0][0], self._commits)
            if seen != self._seen:
                self._seen = seen
                return True
            left = end - time.monotonic()
            if left <= 0:
                return False
            if self._woken.wait(min(POLL_S, left)):
                self._woken.clear()
                return True

    def wake(self) -> None:
        """See ``Wakes``."""
        self._woken.set()

    def wait_for_queued(self, timeout_s: float) -> bool:
        """See ``Database``: nobody tells, so who waits looks four times a second."""
        time.sleep(min(LOOK_S, timeout_s))
        return True

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
                target,
                timeout=self._busy_timeout_s,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=256,
            )
            connection.execute(f"PRAGMA busy_timeout = {int(self._busy_timeout_s * 1000)}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA foreign_keys = ON")
        except sqlite3.Error as e:
            why = ": its file system is mounted read-only" if self.path and _is_read_only(self.path) else ""
            raise StorageUnavailableError(f"the database can not be opened: {e}{why}", where=self.where) from e
        connection.create_function("now_s", 0, time.time)
        return connection

    def _run(self, statements: Sequence[Statement]) -> list[Outcome]:
        connection = self._connection
        outcomes: list[Outcome] = []
        connection.execute("BEGIN IMMEDIATE")
        try:
            for sql, params in statements:
                cursor = connection.execute(sql, params)
                if cursor.description is None:
                    outcomes.append(Outcome(cursor.rowcount, []))
                else:
                    rows = cursor.fetchall()
                    outcomes.append(Outcome(len(rows), rows))
            connection.execute("COMMIT")
            self._commits += 1
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return outcomes

    def _refuse_fork(self) -> None:
        if os.getpid() != self._pid:
            raise RunplaneError(
                "a SQLite connection was carried through a fork; open the database in the child instead"
            )

    def _unavailable(self, e: sqlite3.OperationalError) -> StorageUnavailableError:
        if "locked" not in str(e) and "busy" not in str(e):
            return StorageUnavailableError(
                f"the database does not take it: {e}",
                where=self.where,
                hint="Is the disk full, or the folder read-only?",
            )
        holder = lock_holder(self.path) if self.path else None
        who = describe(holder) if holder is not None else "another process"
        return StorageUnavailableError(
            f"{who} has held the write lock for more than {self._busy_timeout_s:g} s: {e}",
            where=self.where,
            hint=f"If it hangs, end it: kill {holder}" if holder is not None else None,
        )


def _says_unavailable(e: sqlite3.OperationalError) -> bool:
    """SQLite raises one class for a full disk and for a statement that is wrong; only the first kind may be waited out."""
    return any(
        word in str(e) for word in ("locked", "busy", "disk", "full", "readonly", "read-only", "unable to open", "I/O")
    )


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
    found, oldest = connection.execute(
        VERSION_QUERY.format(schema_version="schema_version", schema_serves="schema_serves")
    ).fetchone()
    check_version(found, oldest, where)


def _is_read_only(path: Path) -> bool:
    """Whether nothing can be written beside `path`, which SQLite says of a file only, and not of the folder that its log is in."""
    return path.parent.is_dir() and bool(os.statvfs(path.parent).f_flag & os.ST_RDONLY)
