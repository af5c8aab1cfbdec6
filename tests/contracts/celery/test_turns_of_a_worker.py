"""A worker of queues that leaves: it gives back what it can not take, and waits for its steps no longer than it may."""

from __future__ import annotations

import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from runplane.instance.instance import Instance
from runplane.storage.contract import AttemptRef
from runplane.storage.step_queues import NotTaken, StepQueues, Taken
from runplane.workers import queue_worker
from runplane.workers.queue_hints import Pointed
from runplane.workers.queue_steps import NewProcess, WatchedStep
from runplane.workers.queue_worker import HoldsPods, QueueWorker
from runplane.workers.unread_pods import WantsLines

POINTED = Pointed("run", AttemptRef("step", 1), "work")


class Told:
    """A source of hints that has those that it is made with, and keeps what it is given back."""

    def __init__(self, *has: Pointed) -> None:
        self.has = list(has)
        self.refused: Counter[str] = Counter()
        self.given_back: list[tuple[Pointed, int]] = []

    def attend(self, wake: Callable[[], None]) -> None: ...

    def next(self, queues: Sequence[str]) -> Pointed | None:
        return self.has.pop(0) if self.has and self.has[0].queue in queues else None

    def give_back(self, pointed: Pointed, priority: int) -> None:
        self.given_back.append((pointed, priority))

    def began(self, pointed: Pointed, pid: int) -> None: ...

    def ended(self, pointed: Pointed, failed: str | None) -> None: ...

    def close(self) -> None: ...


def no_pods(_wants_lines: WantsLines) -> HoldsPods:
    raise AssertionError("no pod is to be held")


class Sleeps(NewProcess):
    """A step's process that does not end by itself."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(["sleep", "60"], start_new_session=True)
        self._kill_at = None


class InThread:
    """A worker in a thread of the test."""

    def __init__(self, source: Told, grace_s: float = 0.0, tell: Callable[[Any], None] = lambda _: None) -> None:
        self._instance = Instance.ephemeral()
        self.worker = QueueWorker(
            self._instance, source, name="w", queues=["work"], slots=1, grace_s=grace_s,
            say=lambda _: None, tell=tell, make_pods=no_pods,
        )  # fmt: skip
        self._thread = threading.Thread(target=self.worker.run, daemon=True)

    def __enter__(self) -> InThread:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave, as it does after SIGTERM."""
        self.worker.leave()
        self.has_ended()
        self._instance.close()

    def has_ended(self) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive()


def test_the_hint_of_a_full_queue_is_given_back_when_its_worker_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, source = threading.Event(), Told(POINTED)

    def is_full(*_: object) -> NotTaken:
        asked.set()
        return NotTaken("full", priority=7)

    monkeypatch.setattr(StepQueues, "take", is_full)

    with InThread(source):
        assert asked.wait(30)
        assert source.given_back == [], "it waits for a slot"

    assert source.given_back == [(POINTED, 7)]


def test_it_takes_nothing_more_in_the_turn_in_which_it_is_told_to_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Told(POINTED, POINTED)
    one = InThread(source)

    def told_to_leave(*_: object) -> NotTaken:
        one.worker.leave()
        return NotTaken("ended")

    monkeypatch.setattr(StepQueues, "take", told_to_leave)

    with one:
        one.has_ended()

    assert source.has == [POINTED]


def test_a_step_that_begins_while_its_worker_is_told_to_leave_has_its_grace_period(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process, told, left = Sleeps(), Counter[str](), list[int]()

    def start(run_id: str, ref: AttemptRef, *_: object) -> WatchedStep:
        one.worker.leave()
        return WatchedStep(run_id, ref, process)

    def tell(state: Any) -> None:
        told[state["loops"]["steps"]["state"]] += state["used"]
        if told["leaving"] >= 3:
            process.end(0.0)

    monkeypatch.setattr(StepQueues, "take", lambda *_: Taken({"kind": "execute_step"}))
    monkeypatch.setattr(StepQueues, "end", lambda *_: None)
    monkeypatch.setattr(queue_worker, "start_step", start)
    monkeypatch.setattr(queue_worker, "LEAVE_S", 1.0)
    monkeypatch.setattr(queue_worker.os, "_exit", left.append)
    one = InThread(Told(POINTED), grace_s=600.0, tell=tell)

    with one:
        one.has_ended()

    assert left == []


def test_a_step_that_takes_longer_than_the_grace_period_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    runs, ended = threading.Event(), dict[Any, Any]()
    process = Sleeps()

    def start(run_id: str, ref: AttemptRef, *_: object) -> WatchedStep:
        runs.set()
        return WatchedStep(run_id, ref, process)

    def end(_: StepQueues, run_id: str, ref: AttemptRef, worker_id: str, evidence: Any) -> None:
        ended[run_id, ref] = evidence

    monkeypatch.setattr(StepQueues, "take", lambda *_: Taken({"kind": "execute_step"}))
    monkeypatch.setattr(StepQueues, "end", end)
    monkeypatch.setattr(queue_worker, "start_step", start)

    with InThread(Told(POINTED), grace_s=0.5):
        assert runs.wait(30)
        assert process.evidence() is None
        began = time.monotonic()

    assert 0.5 <= time.monotonic() - began < 10
    text = f"its worker was told to leave, and process {process.pid} took longer than its grace period"
    assert ended == {("run", POINTED.ref): {"text": text}}
    assert process.evidence() == {"code": -9, "text": f"its process {process.pid} ended with code -9"}
