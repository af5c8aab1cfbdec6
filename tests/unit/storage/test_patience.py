"""Waiting for a database that is away: how long, what is said, and what ends it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from runplane.errors import StorageUnavailableError
from runplane.storage import patience
from runplane.storage.dialect import SQLITE, Outcome, Statement
from runplane.storage.patience import PatientDatabase


class Away:
    """A database that answers at the `n`-th call."""

    dialect = SQLITE
    where = "nowhere"

    def __init__(self, answers_at: int, error: Exception | None = None) -> None:
        self.calls = 0
        self._answers_at = answers_at
        self._error = error or StorageUnavailableError("it is away.")

    def transact(self, statements: Sequence[Statement]) -> list[Outcome]:
        self.calls += 1
        if self.calls < self._answers_at:
            raise self._error
        return [Outcome(1, [])]

    def read(self, sql: str, params: Any) -> list[tuple[Any, ...]]:
        return [(self.transact([]),)]

    def wait_for_news(self, timeout_s: float) -> bool:
        return False

    def release(self) -> None:
        self.calls = -1

    def close(self) -> None:
        self.calls = -2


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(patience, "LONGEST_PAUSE_S", 0.002)


def test_a_call_waits_until_there_is_an_answer_and_says_so_once() -> None:
    said: list[str] = []
    away = Away(answers_at=20)

    assert PatientDatabase(away, patience_s=None, say=said.append).transact([]) == [Outcome(1, [])]

    assert away.calls == 20
    assert said == ["it is away. Waiting for nowhere since 0 s; nothing is lost meanwhile."]


def test_it_is_said_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "SAY_EVERY_S", 0.0)
    said: list[str] = []

    PatientDatabase(Away(answers_at=4), patience_s=None, say=said.append).read("SELECT 1", {})

    assert len(said) == 3


def test_patience_ends() -> None:
    away = Away(answers_at=10**9)
    database = PatientDatabase(away, patience_s=0.02, say=lambda line: None)

    with pytest.raises(StorageUnavailableError):
        database.transact([])
    assert away.calls > 1

    database.set_patience(0)
    away.calls = 0
    with pytest.raises(StorageUnavailableError):
        database.transact([])
    assert away.calls == 1


def test_who_is_told_to_end_waits_no_longer() -> None:
    database = PatientDatabase(Away(answers_at=10**9), patience_s=None, say=lambda line: None)
    threading.Timer(0.01, database.give_up).start()

    with pytest.raises(StorageUnavailableError):
        database.transact([])


def test_other_errors_are_not_waited_out() -> None:
    away = Away(answers_at=5, error=ValueError("a mistake"))

    with pytest.raises(ValueError, match="a mistake"):
        PatientDatabase(away, patience_s=None, say=lambda line: None).transact([])
    assert away.calls == 1


def test_the_rest_is_handed_on() -> None:
    away = Away(answers_at=0)
    database = PatientDatabase(away, patience_s=None, say=lambda line: None)

    assert (database.dialect, database.where, database.wait_for_news(1)) == (SQLITE, "nowhere", False)
    database.release()
    assert away.calls == -1
    database.close()
    assert away.calls == -2
