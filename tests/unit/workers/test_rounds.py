"""A thread that is to come round again and again: when it hangs, and when it only waits for its database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from runplane.storage.dialect import SQLITE, Outcome, Statement
from runplane.storage.patience import PatientDatabase
from runplane.workers import rounds
from runplane.workers.rounds import Rounds


class Silent:
    """A database that says nothing until it is told to."""

    dialect = SQLITE
    where = "nowhere"
    connections = 1

    def __init__(self) -> None:
        self.is_asked, self.may_answer = threading.Event(), threading.Event()

    def transact(self, statements: Sequence[Statement]) -> list[Outcome]:
        self.is_asked.set()
        assert self.may_answer.wait(60)
        return []

    def read(self, sql: str, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        raise AssertionError

    def wait_for_news(self, timeout_s: float) -> bool:
        return False

    def release(self) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def pass_seconds(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Have the clock go on by so much."""
    passed, real = [0.0], time.monotonic
    monkeypatch.setattr("time.monotonic", lambda: real() + passed[0])

    def go_on(seconds: float) -> None:
        passed[0] += seconds

    return go_on


def test_a_thread_that_does_not_come_round_hangs_until_it_does(pass_seconds: Callable[[float], None]) -> None:
    found = Rounds(PatientDatabase(Silent(), patience_s=0, say=print))

    pass_seconds(rounds.HANG_S - 1)
    assert not found.hang
    pass_seconds(2)
    assert found.hang

    found.begin_one()
    assert not found.hang


def test_to_wait_for_a_silent_database_is_not_to_hang(pass_seconds: Callable[[float], None]) -> None:
    silent = Silent()
    database = PatientDatabase(silent, patience_s=0, say=print)
    found = Rounds(database)
    asks = threading.Thread(target=database.transact, args=([],))
    asks.start()
    assert silent.is_asked.wait(60)

    pass_seconds(10 * rounds.HANG_S)
    waits = found.hang
    silent.may_answer.set()
    asks.join()

    assert not waits
    assert not found.hang, "the time begins when it was answered"
    pass_seconds(rounds.HANG_S + 1)
    assert found.hang
