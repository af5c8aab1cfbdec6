"""Many writers and readers at once: each event once and in order; and what would happen to a cursor over one global id."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from storage_runs import Passing, StartedRun, event, log

from runplane.events.kinds import EventKind as K
from runplane.storage.contract import AttemptRef, Finish
from runplane.storage.database import Database
from runplane.storage.dialect import Outcome, Statement
from runplane.storage.feed import Feed
from runplane.storage.journal import Journal
from runplane.storage.sqlite import SqliteDatabase
from scale import scaled

WRITERS, READERS, RUNS = 32, 8, 4
BATCH = 50
DELAY_S = 0.01


class Dawdling(Passing):
    """Waits for a random time between the last statement and the commit."""

    def transact(self, statements: Any) -> list[Outcome]:
        pause = random.random() * DELAY_S
        if self.dialect.name == "postgresql":
            last = Statement("SELECT pg_sleep(:s)", {"s": pause})
            return self.inner.transact([*statements[:-1], last, statements[-1]])
        time.sleep(pause)
        return self.inner.transact(statements)


def together(*calls: Callable[[], None]) -> None:
    """Run all at once; the first error is raised."""
    errors: list[BaseException] = []

    def guarded(call: Callable[[], None]) -> None:
        try:
            call()
        except BaseException as e:
            errors.append(e)

    threads = [threading.Thread(target=guarded, args=(c,)) for c in calls]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]


def test_each_event_once_and_in_order(open_database: Callable[[], Database]) -> None:
    each = scaled(100_000, long=1_000_000) // WRITERS
    per_run = WRITERS // RUNS
    runs = [StartedRun(Journal(open_database())) for _ in range(RUNS)]
    names = [f"w{i}" for i in range(per_run)]
    nonces = [run.issue(*names) for run in runs]
    expected = [run.journal.head(run.run_id).head + per_run * each for run in runs]

    def write(number: int) -> None:
        run, name = runs[number % RUNS], names[number // RUNS]
        journal = Journal(Dawdling(open_database()))
        ref, nonce = AttemptRef(name, 1), nonces[number % RUNS][number // RUNS]
        for batch, start in enumerate(range(0, each, BATCH), 1):
            events = [log(str(i), name) for i in range(start, min(start + BATCH, each))]
            assert journal.append_as_attempt(run.run_id, ref, nonce, batch, events)

    def read(number: int) -> None:
        run = runs[number % RUNS]
        journal = Journal(open_database())
        seen = 0
        counts: dict[str, int] = Counter()
        while seen < expected[number % RUNS]:
            for e in journal.tail(run.run_id, seen, 2000):
                assert e.seq == seen + 1
                seen = e.seq
                if e.kind == "LOG":
                    assert e.body["message"] == str(counts[e.step or ""])
                    counts[e.step or ""] += 1
            journal.database.wait_for_news(0.05)
        assert counts == dict.fromkeys(names, each)

    together(*(lambda n=n: write(n) for n in range(WRITERS)), *(lambda n=n: read(n) for n in range(READERS)))

    for run, head in zip(runs, expected, strict=True):
        assert run.journal.head(run.run_id).head == head


def test_a_cursor_over_one_global_id_loses_events_under_the_same_load(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE naive (id bigserial PRIMARY KEY, writer int, i int)")
    rounds = 20
    done = threading.Event()
    seen: list[tuple[int, int]] = []

    def write(writer: int) -> None:
        with psycopg.connect(postgres_url) as connection:
            for i in range(rounds):
                connection.execute("INSERT INTO naive (writer, i) VALUES (%s, %s)", (writer, i))
                connection.execute("SELECT pg_sleep(%s)", (random.random() * DELAY_S,))
                connection.commit()

    def read() -> None:
        last = 0
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            while True:
                over = done.is_set()
                for number, writer, i in connection.execute("SELECT * FROM naive WHERE id > %s ORDER BY id", (last,)):
                    last = number
                    seen.append((writer, i))
                if over:
                    return

    def write_all() -> None:
        together(*(lambda w=w: write(w) for w in range(WRITERS)))
        done.set()

    together(write_all, read)

    assert len(seen) < WRITERS * rounds


def test_each_feed_reader_sees_each_item_once(open_database: Callable[[], Database]) -> None:
    """32 runs commit in random order; so do their numbers."""
    runs = [StartedRun(Journal(Dawdling(open_database()))) for _ in range(WRITERS)]
    steps = 20
    begin = Feed(runs[0].journal.database).end()
    expected = WRITERS * (steps + 1)
    done = threading.Event()

    def write(run: StartedRun) -> None:
        for i in range(steps):
            run.journal.annotate(run.run_id, [event(K.ASSET_MATERIALIZATION, asset_key=[str(i)])])
        run.journal.commit(run.run_id, run.epoch, run.batch + 1, [Finish(event(K.RUN_SUCCESS))])

    def write_all() -> None:
        together(*(lambda r=r: write(r) for r in runs))
        done.set()

    def read() -> None:
        database = open_database()
        feed = Feed(database)
        cursor, numbers, seen = begin, [], Counter[tuple[str, int]]()
        last: dict[str, int] = {}
        while True:
            over = done.is_set()
            items, cursor = feed.read(cursor, limit=100)
            for item in items:
                numbers.append(item.number)
                seen[(item.run_id, item.seq)] += 1
                assert item.seq > last.get(item.run_id, 0)
                last[item.run_id] = item.seq
            if over and not items:
                break
            if not items:
                database.wait_for_news(0.02)  # many that only ask leave the writers no processor
        assert len(seen) == expected
        assert set(seen.values()) == {1}
        assert numbers == list(range(numbers[0], numbers[0] + expected))

    together(write_all, *([read] * READERS))


def test_an_item_whose_transaction_commits_late_is_read(
    open_postgres: Callable[[], Database], postgres_url: str
) -> None:
    """Its row was inserted before one that has been read."""

    class Held(Passing):
        """Waits for a lock between the last statement and the commit."""

        def transact(self, statements: Any) -> list[Outcome]:
            return self.inner.transact(
                [*statements[:-1], Statement("SELECT pg_advisory_xact_lock(7)", {}), statements[-1]]
            )

    late, early = StartedRun(Journal(open_postgres())), StartedRun(Journal(open_postgres()))
    late.journal = Journal(Held(late.journal.database))
    feed = Feed(early.journal.database)
    cursor = feed.end()
    with psycopg.connect(postgres_url) as holder:
        holder.execute("SELECT pg_advisory_xact_lock(7)")
        writer = threading.Thread(target=late.journal.annotate, args=(late.run_id, [event(K.ASSET_MATERIALIZATION)]))
        writer.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND NOT granted"
        while holder.execute(waiting).fetchall() == [(0,)]:
            time.sleep(0.01)
        early.journal.annotate(early.run_id, [event(K.ASSET_MATERIALIZATION)])
        first, cursor = feed.read(cursor)
        holder.rollback()
        writer.join()

    second, _ = feed.read(cursor)

    assert [i.run_id for i in first + second] == [early.run_id, late.run_id]
    assert second[0].number == first[0].number + 1


def test_a_feed_read_by_insertion_id_loses_items(open_postgres: Callable[[], Database]) -> None:
    """Why the feed is numbered afterwards."""
    runs = [StartedRun(Journal(Dawdling(open_postgres()))) for _ in range(WRITERS)]
    rounds, done, seen = 20, threading.Event(), Counter[int]()
    database = open_postgres()
    last = database.read('SELECT coalesce(max(id), 0) FROM "runplane".feed', {})[0][0]

    def write(run: StartedRun) -> None:
        for i in range(rounds):
            run.journal.annotate(run.run_id, [event(K.ASSET_MATERIALIZATION, asset_key=[str(i)])])

    def write_all() -> None:
        together(*(lambda r=r: write(r) for r in runs))
        done.set()

    def read() -> None:
        cursor = last
        while True:
            over = done.is_set()
            for (number,) in database.read(
                'SELECT id FROM "runplane".feed WHERE id > :after ORDER BY id', {"after": cursor}
            ):
                seen[number] += 1
                cursor = number
            if over:
                return

    together(write_all, read)

    assert len(seen) < WRITERS * rounds


# 64 children on one SQLite file ---------------------------------------------------------------------------------------------------

CHILDREN = """
import json, os, sys, time
from pathlib import Path
from runplane.events.event import NewEvent
from runplane.storage.contract import AttemptRef
from runplane.storage.journal import Journal
from runplane.storage.sqlite import SqliteDatabase

path, run_id, events, batch, nonces = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), json.loads(sys.argv[5])
children = []
for i, nonce in enumerate(nonces):
    pid = os.fork()
    if pid:
        children.append(pid)
        continue
    code = 1
    try:
        journal = Journal(SqliteDatabase(path))
        ref = AttemptRef(f"s{i}", 1)
        for number, start in enumerate(range(0, events, batch), 1):
            new = [NewEvent("LOG", ref.step, 1, {"message": str(k)}, time.time()) for k in range(start, start + batch)]
            assert journal.append_as_attempt(run_id, ref, nonce, number, new)
        code = 0
    except BaseException as e:
        print(type(e).__name__, e, flush=True)
    finally:
        os._exit(code)
codes = [os.waitpid(pid, 0)[1] for pid in children]
sys.exit(max(codes) != 0)
"""


def test_64_processes_write_to_one_sqlite_file_and_none_finds_it_locked(tmp_path: Path) -> None:
    children, events, batch = 64, 1000, scaled(20, long=1)
    run = StartedRun(Journal(_sqlite(tmp_path)))
    nonces = run.issue(*(f"s{i}" for i in range(children)))
    before = run.journal.head(run.run_id).head

    arguments = [str(tmp_path / "runplane.db"), run.run_id, str(events), str(batch), json.dumps(nonces)]
    done = subprocess.run([sys.executable, "-c", CHILDREN, *arguments], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert run.journal.head(run.run_id).head == before + children * events
    run.journal.database.close()


@pytest.mark.parametrize("connections", [1, 64])
def test_64_threads_of_one_process_write_to_one_sqlite_file(tmp_path: Path, connections: int) -> None:
    children, events, batch = 64, 1000, 20
    run = StartedRun(Journal(_sqlite(tmp_path)))
    nonces = run.issue(*(f"s{i}" for i in range(children)))
    before = run.journal.head(run.run_id).head
    journals = [run.journal, *(Journal(_sqlite(tmp_path)) for _ in range(connections - 1))]

    def write(i: int) -> None:
        for number, start in enumerate(range(0, events, batch), 1):
            new = [log(str(k), f"s{i}") for k in range(start, start + batch)]
            journal = journals[i % connections]
            assert journal.append_as_attempt(run.run_id, AttemptRef(f"s{i}", 1), nonces[i], number, new)

    together(*(lambda i=i: write(i) for i in range(children)))

    assert run.journal.head(run.run_id).head == before + children * events
    for journal in journals:
        journal.database.close()


def _sqlite(folder: Path) -> Database:
    return SqliteDatabase(folder / "runplane.db")
