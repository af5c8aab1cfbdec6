"""The queue's conformance suite on every database that we ship, and through a pgBouncer that pools by transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runplane.storage.database import Database
from runplane.storage.postgres import PostgresDatabase
from runplane.storage.sqlite import SqliteDatabase
from runplane.testing import QueueContract


class TestSqliteInMemory(QueueContract):
    @pytest.fixture
    def open_database(self) -> Callable[[], Database]:
        only = SqliteDatabase(None)
        return lambda: only


class TestSqliteFile(QueueContract):
    @pytest.fixture
    def open_database(self, tmp_path: Path) -> Iterator[Callable[[], Database]]:
        opened: list[SqliteDatabase] = []

        def open_one() -> SqliteDatabase:
            opened.append(SqliteDatabase(tmp_path / "runplane.db"))
            return opened[-1]

        yield open_one
        for database in opened:
            database.close()


class OnPostgres(QueueContract):
    @pytest.fixture
    def open_database(self, given_url: str, fresh_schema: str) -> Iterator[Callable[[], Database]]:
        opened: list[PostgresDatabase] = []

        def open_one() -> PostgresDatabase:
            opened.append(PostgresDatabase(given_url, schema=fresh_schema))
            return opened[-1]

        yield open_one
        for database in opened:
            database.close()


class TestPostgres(OnPostgres):
    @pytest.fixture
    def given_url(self, session_postgres_url: str) -> str:
        return session_postgres_url


class TestPgBouncer(OnPostgres):
    @pytest.fixture
    def given_url(self, session_pgbouncer_url: str) -> str:
        return session_pgbouncer_url
