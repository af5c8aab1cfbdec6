"""The coordinator's supervisor thread when something goes wrong in it."""

from __future__ import annotations

import queue

from runplane.executors.contract import PartFailed
from runplane.executors.driver import ControlSeen
from runplane.executors.heartbeat import Heartbeat
from runplane.storage.contract import Beaten
from runplane.storage.journal import Journal
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
