"""The step queues' conformance suite on every database that we ship."""

from __future__ import annotations

from databases_of_suites import Postgres, SqliteFile, SqliteInMemory

from runplane.testing import StepQueuesContract


class TestSqliteInMemory(SqliteInMemory, StepQueuesContract):
    pass


class TestSqliteFile(SqliteFile, StepQueuesContract):
    pass


class TestPostgres(Postgres, StepQueuesContract):
    pass
