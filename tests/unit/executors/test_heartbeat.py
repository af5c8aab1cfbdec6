"""The coordinator's supervisor thread when something goes wrong in it."""

from __future__ import annotations

import queue
import threading
import time

import pytest

from runplane.events.status import RunStatus
from runplane.executors import heartbeat
from runplane.executors.contract import PartFailed
from runplane.executors.driver import ControlSeen
from runplane.executors.heartbeat import Heartbeat
from runplane.storage import sqlite
from runplane.storage.contract import Beaten, Head
from runplane.storage.journal import Journal
from runplane.storage.patience import PatientDatabase
from runplane.storage.sqlite import SqliteDatabase


class Faulty(Journal):
    """A journal with a fault of ours in it."""

    def beat(self, run_id: str, epoch: int) -> Beaten:
        raise ZeroDivisionError("in the beat")


def test_an_error_in_the_beat_is_told_and_not_swallowed_with_its_thread() -> None:
    heard: queue.Queue[ControlSeen | PartFailed] = queue.Queue()

    with Heartbeat(Faulty(SqliteDatabase(None)), "run", 1, heard.put):
        told = heard.get(timeout=30)

    assert isinstance(told, PartFailed)
    assert isinstance(told.error, ZeroDivisionError)


class Beating(Journal):
    """A journal whose run goes on."""

    def beat(self, run_id: str, epoch: int) -> Beaten:
        return Beaten(RunStatus.STARTED, "none", 1, False)


class Watched(SqliteDatabase):
    """Says when somebody waits for news."""

    def __init__(self) -> None:
        super().__init__(None)
        self.waits = threading.Semaphore(0)

    def wait_for_news(self, timeout_s: float) -> bool:
        self.waits.release()
        return super().wait_for_news(timeout_s)


def test_a_run_does_not_wait_for_the_news_that_its_supervisor_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "LOOK_S", 60.0)
    monkeypatch.setattr(sqlite, "POLL_S", 60.0)
    database = Watched()
    while database.wait_for_news(0):
        pass
    while database.waits.acquire(blocking=False):
        pass
    journal = Beating(PatientDatabase(database, patience_s=0.0, say=print))

    with Heartbeat(journal, "run", 1, lambda _: None, beat_s=100.0):
        assert database.waits.acquire(timeout=30)
        began = time.monotonic()

    assert time.monotonic() - began < 30


def test_nothing_is_waited_for_any_more_when_the_runs_end_is_stored() -> None:
    over = threading.Event()

    class Told(SqliteDatabase):
        def wait_for_news(self, timeout_s: float) -> bool:
            assert not over.is_set(), "the news was the run's end"
            over.set()
            return True

    class Last(Beating):
        def head(self, run_id: str) -> Head:
            return Head(run_id, RunStatus.SUCCESS, "none", 1, 2, 1, 0, None)

    heard: list[object] = []
    with Heartbeat(Last(Told(None)), "run", 1, heard.append, beat_s=100.0, is_over=over.is_set):
        for thread in threading.enumerate():
            if thread.name == "runplane-heartbeat":
                thread.join(30)

    assert over.is_set()
    assert heard == []
