"""Workers without a broker are told by Postgres what was put into a queue, and by nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from runplane.storage.contract import AttemptRef
from runplane.storage.database import Database
from runplane.storage.dialect import queue_channel
from runplane.storage.postgres import PostgresDatabase
from runplane.storage.step_queues import StepQueues
from runplane.testing.step_queues_contract import QueueHouse
from runplane.workers.queue_hints import FromDatabase

SILENT_S = 0.3


@pytest.fixture
def database(session_postgres_url: str, fresh_schema: str) -> Iterator[PostgresDatabase]:
    with closing(PostgresDatabase(session_postgres_url, schema=fresh_schema)) as made:
        yield made


@pytest.fixture
def house(database: PostgresDatabase) -> QueueHouse:
    return QueueHouse(database)


@pytest.fixture
def listening(session_postgres_url: str, fresh_schema: str, house: QueueHouse) -> Iterator[Database]:
    with closing(PostgresDatabase(session_postgres_url, schema=fresh_schema)) as made:
        made.read("SELECT 1", {})
        assert made.wait_for_queued(10.0), "something may have been put there before it listened"
        assert not made.wait_for_queued(0.0)
        yield made


def test_what_is_sent_as_a_message_is_told_to_nobody_else(house: QueueHouse, listening: Database) -> None:
    house.queued("a")

    assert not listening.wait_for_queued(SILENT_S)


def test_what_happens_to_runs_is_no_news_of_queues(house: QueueHouse, listening: Database) -> None:
    house.seal(house.queued("a"))

    assert not listening.wait_for_queued(SILENT_S)


def test_who_is_cut_off_looks_and_listens_again(
    house: QueueHouse, listening: Database, session_postgres_url: str
) -> None:
    with psycopg.connect(session_postgres_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%%' AND query LIKE %s",
            [f"%{queue_channel(house.database.schema)}%"],  # type: ignore[attr-defined]
        )

    assert listening.wait_for_queued(10.0), "it may have missed something"
    while listening.wait_for_queued(0.0):
        """Its server's last words, the end of them, and a new connection: each time it may have missed something."""
    house.queued("a", tells=True)
    assert listening.wait_for_queued(10.0)


def test_a_worker_is_woken_by_what_is_put_there(
    house: QueueHouse, session_postgres_url: str, fresh_schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runplane.workers.queue_hints.LOOK_S", 600.0)
    woken = threading.Event()
    with closing(PostgresDatabase(session_postgres_url, schema=fresh_schema)) as database:
        source = FromDatabase(StepQueues(database, ttl_s=60.0))
        assert source.next(["q"]) is None
        source.attend(woken.set)
        assert woken.wait(60.0), "it has not looked at what was there before it listened"
        assert source.next(["q"]) is None
        woken.clear()

        ref = house.queued("a", tells=True)

        assert woken.wait(60.0)
        found = source.next(["q"])
        source.close()
    assert found is not None
    assert (found.run_id, found.ref, found.queue) == (house.run_id, ref, "q")


@pytest.mark.parametrize("schema", ["s" * 63, "é" * 31, "runplane"])
def test_a_channel_has_a_name_that_postgres_takes(schema: str) -> None:
    assert len(queue_channel(schema).encode()) < 64


class TestOfWhatWasEmpty:
    """``FromDatabase`` asks no more than it has to."""

    @pytest.fixture
    def queues(self) -> Asked:
        return Asked()

    def test_a_queue_that_had_nothing_is_left_alone_until_it_is_told_of(self, queues: Asked) -> None:
        source = FromDatabase(queues)

        assert [source.next(["a"]), source.next(["a"])] == [None, None]
        assert queues.asked == [["a"]]

    def test_another_queue_is_asked_meanwhile(self, queues: Asked) -> None:
        source = FromDatabase(queues)
        source.next(["a"])
        queues.has = {"b": 2}

        first, second, third = source.next(["a", "b"]), source.next(["a", "b"]), source.next(["a", "b"])

        assert [one and one.queue for one in (first, second, third)] == ["b", "b", None]
        assert queues.asked == [["a"], ["b"], ["b"], ["b"]]

    def test_it_looks_again_after_a_while_without_a_word(self, queues: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
        source = FromDatabase(queues)
        source.next(["a"])
        later = time.monotonic() + 60.0
        monkeypatch.setattr(time, "monotonic", lambda: later)

        source.next(["a"])

        assert queues.asked == [["a"], ["a"]]


class Asked(StepQueues):
    """Queues that have so many attempts each, and keep what was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.has: dict[str, int] = {}

    def next_in(self, queues: object, limit: int) -> list[tuple[str, AttemptRef, str]]:
        names = list(queues)  # type: ignore[call-overload]
        self.asked.append(names)
        for name in names:
            if self.has.get(name):
                self.has[name] -= 1
                return [("run", AttemptRef("s", self.has[name] + 1), name)]
        return []
