"""Who is told, and how often: statuses and outcomes, once a transaction; all else is polled for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest
from storage_runs import StartedRun, event, log

from runplane.events.kinds import EventKind as K
from runplane.storage.contract import Append, AttemptRef, Finish, Issue, Op, Seal
from runplane.storage.database import Database
from runplane.storage.journal import Journal
from runplane.storage.pools import Pools
from runplane.storage.postgres import PostgresDatabase


@pytest.fixture
def run(open_postgres: Callable[[], Database]) -> StartedRun:
    return StartedRun(Journal(open_postgres()))


@pytest.fixture
def told(postgres_url: str) -> Iterator[Callable[[], list[str]]]:
    """What has been told since the last call."""
    with psycopg.connect(postgres_url, autocommit=True) as listener:
        listener.execute("LISTEN runplane")

        def since() -> list[str]:
            # A round trip of the listener: what was told before has arrived.
            listener.execute("SELECT 1")
            return [n.payload for n in listener.notifies(timeout=0)]

        yield since


def test_one_notification_for_all_outcomes_of_a_batch(run: StartedRun, told: Callable[[], list[str]]) -> None:
    steps = [f"s{i}" for i in range(10)]
    nonces = run.issue(*steps)
    assert told() == []

    ops: list[Op] = [
        Append([event(K.STEP_SUCCESS, s, 1)], AttemptRef(s, 1), nonce) for s, nonce in zip(steps, nonces, strict=True)
    ]
    run.journal.commit(run.run_id, run.epoch, run.batch + 1, ops)

    assert told() == [run.run_id]


def test_logs_issues_claims_and_outputs_are_not_told(run: StartedRun, told: Callable[[], list[str]]) -> None:
    (nonce,) = run.issue("a")
    ref = AttemptRef("a", 1)
    journal = run.journal
    journal.commit(run.run_id, run.epoch, 2, [Append([log("x")] * 50), Issue(AttemptRef("b", 1))])
    journal.claim(run.run_id, AttemptRef("b", 1), "pod", event(K.STEP_WORKER_STARTED, "b", 1))
    journal.append_as_attempt(run.run_id, ref, nonce, 1, [event(K.STEP_OUTPUT, "a", 1, output="o"), log("y")])
    journal.annotate(run.run_id, [event(K.ENGINE_EVENT)])
    journal.beat(run.run_id, run.epoch)

    assert told() == []


def test_statuses_seals_and_the_end_are_told(run: StartedRun, told: Callable[[], list[str]]) -> None:
    run.issue("a")
    journal = run.journal

    journal.intend(run.run_id, "cancel", event(K.RUN_CANCELING), event(K.RUN_CANCELED))
    assert told() == [run.run_id]
    journal.commit(run.run_id, run.epoch, 2, [Seal(AttemptRef("a", 1), "lost", "gone"), Finish(event(K.RUN_CANCELED))])
    assert told() == [run.run_id]


def test_a_batch_that_is_sent_again_tells_nothing(run: StartedRun, told: Callable[[], list[str]]) -> None:
    run.issue("a")
    ops: list[Op] = [Seal(AttemptRef("a", 1), "lost", "gone")]
    run.journal.commit(run.run_id, run.epoch, 2, ops)
    assert len(told()) == 1

    run.journal.commit(run.run_id, run.epoch, 2, ops)

    assert told() == []


def test_a_freed_slot_wakes_who_waits_for_it(run: StartedRun, open_postgres: Callable[[], Database]) -> None:
    waiting = open_postgres()
    pools = Pools(waiting)
    pools.set_limit("x", 1)
    done = run.journal.commit(run.run_id, run.epoch, 1, [Issue(AttemptRef("a", 1), ("x",))])
    assert done.head == 2
    assert not pools.have_room(["x"])
    woken: list[float] = []

    def wait() -> None:
        while not pools.have_room(["x"]):
            waiting.wait_for_news(30)
        woken.append(time.monotonic())

    waiter = threading.Thread(target=wait)
    waiter.start()
    run.journal.commit(run.run_id, run.epoch, 2, [Seal(AttemptRef("a", 1), "lost", "gone")])
    freed = time.monotonic()
    waiter.join(30)

    assert woken[0] - freed < 1.0


@pytest.mark.parametrize("direct", [True, False])
def test_news_wake_a_reader(
    run: StartedRun,
    postgres_url: str,
    opened: Callable[[Database], Database],
    direct: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With LISTEN at once; without, by the poll that is always behind it."""
    database = PostgresDatabase(postgres_url)
    opened(database)
    database.read("SELECT 1", {})
    if not direct:
        monkeypatch.setattr(database, "_direct_url", None)
    database.wait_for_news(0)
    began = time.monotonic()

    assert database.wait_for_news(30)

    assert time.monotonic() - began < 5.0
