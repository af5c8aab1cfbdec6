"""The queue's conformance suite on every database that we ship, and through a pgBouncer that pools by transaction."""

from __future__ import annotations

from databases_of_suites import PgBouncer, Postgres, SqliteFile, SqliteInMemory

from runplane.testing import QueueContract


class TestSqliteInMemory(SqliteInMemory, QueueContract):
    pass


class TestSqliteFile(SqliteFile, QueueContract):
    pass


class TestPostgres(Postgres, QueueContract):
    pass


class TestPgBouncer(PgBouncer, QueueContract):
    pass
