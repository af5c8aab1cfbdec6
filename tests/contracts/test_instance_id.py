"""The instance's own id, on every database: drawn once, the same for everybody."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable

from databases_of_suites import Postgres, SqliteFile

from runplane.storage.database import Database
from runplane.storage.identity import instance_id


class InstanceId:
    def test_it_is_drawn_once(self, open_database: Callable[[], Database]) -> None:
        first = instance_id(open_database())

        assert str(uuid.UUID(first)) == first
        assert instance_id(open_database()) == first

    def test_of_many_that_ask_first_all_get_the_same(self, open_database: Callable[[], Database]) -> None:
        databases = [open_database() for _ in range(4)]
        found: list[str] = []
        threads = [threading.Thread(target=lambda d=d: found.append(instance_id(d))) for d in databases]

        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(found) == 4
        assert len(set(found)) == 1


class TestOnSqlite(SqliteFile, InstanceId):
    pass


class TestOnPostgres(Postgres, InstanceId):
    pass
