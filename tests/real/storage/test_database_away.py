"""The database is away for more than three leases: nobody takes over from an owner because he could not be seen.

Most owners are threads that beat, as 100 processes would be too much for a test; a few are worker processes with steps at work.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from storage_runs import StartedRun, event, log

from runplane.errors import FencedError, StorageUnavailableError
from runplane.events.kinds import EventKind as K
from runplane.events.status import RunStatus
from runplane.storage.contract import Append, Head, Owner
from runplane.storage.database import Database
from runplane.storage.journal import Journal
from runplane.storage.liveness import stood_still
from runplane.storage.patience import PatientDatabase
from runplane.storage.postgres import PostgresDatabase
from scale import scaled
from services.system import System, postgres_yaml

TTL_S = 2.0
BEAT_S = 0.25
RUNS = 100
TAKERS = 3
THREADS_PER_TAKER = 4
AWAY_S = scaled(int(3 * TTL_S) + 1, long=300)
"""Longer than three leases: everything that runs out by a clock has run out three times. A longer outage shows the same again."""
WORKERS = 3
JOB = """
import os, time
from runplane import job, multiprocess_executor, op

@op
def waits(context):
    say(context, "start")
    while not os.path.exists(os.environ["GATE"]):
        time.sleep(0.05)

@job(executor_def=multiprocess_executor)
def waiting():
    waits()
"""


class Owners:
    """Beats for all runs, as their coordinators would, for as long as they are alive.

    Attributes:
        in_contact: cleared while they can not reach the database (it is away, and they are slower than others to find it again).
    """

    def __init__(self, runs: list[StartedRun], journal: Journal) -> None:
        self.alive = dict.fromkeys((r.run_id for r in runs), True)
        self.lost: list[str] = []
        self.beats = 0
        self._runs = runs
        self._journal = journal
        self.in_contact = threading.Event()
        self.in_contact.set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._loop)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self.in_contact.set()
        self._thread.join()

    def _loop(self) -> None:
        while not self._over.wait(BEAT_S):
            for run in self._runs:
                self.in_contact.wait()
                if self.alive[run.run_id]:
                    try:
                        self._journal.beat(run.run_id, run.epoch)
                        self.beats += 1
                    except FencedError:
                        self.lost.append(run.run_id)
                        self.alive[run.run_id] = False


class Taker:
    """Goes through the runs for ever and takes over what looks dead.

    Attributes:
        reads: how often each of its threads has looked at a run.
    """

    def __init__(self, name: str, runs: list[str], open_one: Callable[[], Journal]) -> None:
        self.taken: list[str] = []
        self.reads = [0] * THREADS_PER_TAKER
        self.errors: list[BaseException] = []
        self._over = threading.Event()
        self._threads = []
        for i in range(THREADS_PER_TAKER):
            mine = runs[i::THREADS_PER_TAKER]
            owner = Owner(f"{name}-{i}", "elsewhere", "b", 1, 1)
            self._threads.append(threading.Thread(target=self._loop, args=(i, mine, owner, open_one())))
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        if self.errors:
            raise self.errors[0]

    def _loop(self, thread: int, runs: list[str], owner: Owner, journal: Journal) -> None:
        def head(run_id: str) -> Head:
            found = journal.head(run_id)
            self.reads[thread] += 1
            return found

        try:
            while not self._over.is_set():
                for run_id in runs:
                    if self._over.is_set():
                        return
                    self._try(run_id, owner, journal, head)
        except BaseException as e:
            self.errors.append(e)

    def _try(self, run_id: str, owner: Owner, journal: Journal, head: Callable[[str], Head]) -> None:
        seen = head(run_id)
        if seen.owner is not None and seen.owner.worker_id == owner.worker_id:
            return
        if stood_still(lambda: head(run_id), seen, TTL_S) and journal.take_over(seen, owner, event(K.RUN_RESUMED)):
            self.taken.append(run_id)


def wait_for_reads(takers: list[Taker], before: list[list[int]], more: int) -> None:
    """Wait until a thread of a taker has looked so many times more."""
    deadline = time.monotonic() + 60
    while True:
        pairs = (
            (now, then)
            for t, reads in zip(takers, before, strict=True)
            for now, then in zip(t.reads, reads, strict=True)
        )
        if any(now >= then + more for now, then in pairs):
            return
        assert time.monotonic() < deadline, "no taker came back"
        time.sleep(0.01)


@dataclass
class Workers:
    """Runs whose coordinators are processes with a step at work, in the same database."""

    system: System
    gate: Path

    def __post_init__(self) -> None:
        self.ids = [self.system.create("waiting") for _ in range(WORKERS)]
        self.processes = [self.system.worker(run_id, GATE=str(self.gate)) for run_id in self.ids]
        self.system.wait_for("the steps", lambda: len(self.system.bodies(None, "start")) == WORKERS, 60)

    def end(self) -> None:
        """Let the steps end, and look at what came of the runs."""
        assert [w.poll() for w in self.processes] == [None] * WORKERS, "a worker left"
        self.gate.touch()
        assert [w.wait(60) for w in self.processes] == [0] * WORKERS
        for run_id in self.ids:
            kinds = self.system.kinds(run_id)
            assert (kinds["RUN_SUCCESS"], kinds["RUN_RESUMED"], kinds["STEP_SEALED"]) == (1, 0, 0)
            assert len(self.system.bodies(run_id, "start")) == 1
            self.system.check(run_id)


@pytest.fixture
def workers(postgres_url: str, tmp_path: Path) -> Iterator[Workers]:
    system = System(tmp_path, JOB, postgres_yaml(postgres_url))
    try:
        yield Workers(system, tmp_path / "gate")
    finally:
        system.close()


@pytest.mark.timeout(scaled(300, long=900))
def test_nobody_is_replaced_because_the_database_was_away(
    postgres_server: Any, postgres_url: str, opened: Callable[[Database], Database], workers: Workers
) -> None:
    said: list[str] = []

    def open_one() -> Journal:
        database = PatientDatabase(
            opened(PostgresDatabase(postgres_url, answer_within_s=2)), patience_s=None, say=said.append
        )
        return Journal(database)

    writer = open_one()
    runs = [StartedRun(writer) for _ in range(RUNS)]
    ids = [r.run_id for r in runs]
    owners = Owners(runs, open_one())
    takers = [Taker(f"taker{i}", [*workers.ids, *ids], open_one) for i in range(TAKERS)]
    try:
        time.sleep(TTL_S)
        postgres_server.stop()
        owners.in_contact.clear()
        time.sleep(AWAY_S)
        reads = [list(t.reads) for t in takers]
        postgres_server.start()
        # The worst order: somebody who might take over is back, and has had time to decide, before the first owner is.
        wait_for_reads(takers, reads, more=2)
        owners.in_contact.set()
        beats = owners.beats
        time.sleep(2 * TTL_S)

        assert [t.taken for t in takers] == [[]] * TAKERS, "replaced because the database was away"
        assert owners.beats > beats, "the owners did not come back"
        assert owners.lost == []
        heads = [writer.head(i) for i in [*workers.ids, *ids]]
        assert {(h.status, h.epoch) for h in heads} == {(RunStatus.STARTED, 1)}
        for run in runs:
            done = writer.commit(run.run_id, run.epoch, run.batch + 1, [Append([log("goes on")])])
            assert done.head == 2
        assert any("Waiting for postgres" in line for line in said)
        workers.end()

        # And one that is really gone is replaced, by one of the three.
        dead = ids[0]
        owners.alive[dead] = False
        deadline = time.monotonic() + 60
        while not any(dead in t.taken for t in takers):
            assert time.monotonic() < deadline, "nobody took the dead run over"
            time.sleep(0.1)
        assert sum(t.taken.count(dead) for t in takers) == writer.head(dead).epoch - 1
    finally:
        postgres_server.start()
        owners.close()
        for taker in takers:
            taker.close()


def test_who_has_no_patience_is_told_where_and_what(postgres_server: Any, postgres_url: str) -> None:
    database = PatientDatabase(PostgresDatabase(postgres_url), patience_s=0.5, say=lambda line: None)
    journal = Journal(database)
    run = StartedRun(journal)
    postgres_server.stop()
    began = time.monotonic()

    with pytest.raises(StorageUnavailableError, match=r"postgres .*:\d+/t_\w+: the database does not answer") as caught:
        journal.head(run.run_id)

    assert time.monotonic() - began < 10
    assert "p@ss" not in str(caught.value)
    database.close()


def test_the_first_contact_waits_too(postgres_server: Any, postgres_url: str) -> None:
    postgres_server.stop()
    said: list[str] = []
    database = PatientDatabase(PostgresDatabase(postgres_url), patience_s=60, say=said.append)
    back = threading.Timer(1.0, postgres_server.start)
    back.start()

    assert database.read("SELECT 1", {}) == [(1,)]

    back.join()
    assert len(said) == 1
    database.close()
