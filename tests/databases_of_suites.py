"""The databases that a conformance suite is run on: mix one of these into a class of the suite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runplane.storage.database import Database
from runplane.storage.postgres import PostgresDatabase
from runplane.storage.sqlite import SqliteDatabase


class SqliteInMemory:
    @pytest.fixture
    def open_database(self) -> Callable[[], Database]:
        only = SqliteDatabase(None)
        return lambda: only


class SqliteFile:
    @pytest.fixture
    def open_database(self, tmp_path: Path) -> Iterator[Callable[[], Database]]:
        opened: list[SqliteDatabase] = []

        def open_one() -> SqliteDatabase:
            opened.append(SqliteDatabase(tmp_path / "runplane.db"))
            return opened[-1]

        yield open_one
        for database in opened:
            database.close()


class OnPostgres:
    """One schema per test, in the session's database: making a database costs more than a test."""

    @pytest.fixture
    def open_database(self, given_url: str, fresh_schema: str) -> Iterator[Callable[[], Database]]:
        opened: list[PostgresDatabase] = []

        def open_one() -> PostgresDatabase:
            opened.append(PostgresDatabase(given_url, schema=fresh_schema))
            return opened[-1]

        yield open_one
        for database in opened:
            database.close()


class Postgres(OnPostgres):
    @pytest.fixture
    def given_url(self, session_postgres_url: str) -> str:
        return session_postgres_url


class PgBouncer(OnPostgres):
    @pytest.fixture
    def given_url(self, session_pgbouncer_url: str) -> str:
        return session_pgbouncer_url
