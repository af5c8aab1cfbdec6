"""The journal's conformance suite on every database that we ship, and through a pgBouncer that pools by transaction."""

from __future__ import annotations

from databases_of_suites import PgBouncer, Postgres, SqliteFile, SqliteInMemory

from runplane.testing import JournalContract


class TestSqliteInMemory(SqliteInMemory, JournalContract):
    pass


class TestSqliteFile(SqliteFile, JournalContract):
    pass


class TestPostgres(Postgres, JournalContract):
    pass


class TestPgBouncer(PgBouncer, JournalContract):
    pass
