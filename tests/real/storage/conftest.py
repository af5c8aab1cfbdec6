"""Databases for tests of the storage as it is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runplane.storage.database import Database
from runplane.storage.postgres import PostgresDatabase
from runplane.storage.sqlite import SqliteDatabase


@pytest.fixture
def opened() -> Iterator[Callable[[Database], Database]]:
    """Closes at the end what it was given."""
    databases: list[Database] = []

    def keep(database: Database) -> Database:
        databases.append(database)
        return database

    yield keep
    for database in databases:
        database.close()


@pytest.fixture
def open_postgres(postgres_url: str, opened: Callable[[Database], Database]) -> Callable[[], Database]:
    return lambda: opened(PostgresDatabase(postgres_url))


@pytest.fixture(params=["sqlite", "postgresql"])
def open_database(
    request: pytest.FixtureRequest, tmp_path: Path, opened: Callable[[Database], Database]
) -> Callable[[], Database]:
    """One more connection to a fresh database."""
    if request.param == "sqlite":
        return lambda: opened(SqliteDatabase(tmp_path / "runplane.db"))
    make: Callable[[], Database] = request.getfixturevalue("open_postgres")
    return make
