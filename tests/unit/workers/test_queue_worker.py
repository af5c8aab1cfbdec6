"""What a worker of queues does beside its steps: it gives back what it can not take when it leaves."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence

import pytest

from runplane.instance.instance import Instance
from runplane.storage.contract import AttemptRef
from runplane.storage.step_queues import NotTaken, StepQueues
from runplane.workers.queue_hints import Pointed
from runplane.workers.queue_worker import HoldsPods, QueueWorker
from runplane.workers.unread_pods import WantsLines

POINTED = Pointed("run", AttemptRef("step", 1), "work")


class Told:
    """A source of hints that has those that it is made with, and keeps what it is given back."""

    def __init__(self, *has: Pointed) -> None:
        self._has = list(has)
        self.refused: Counter[str] = Counter()
        self.given_back: list[tuple[Pointed, int]] = []

    def next(self, queues: Sequence[str]) -> Pointed | None:
        return self._has.pop(0) if self._has and self._has[0].queue in queues else None

    def give_back(self, pointed: Pointed, priority: int) -> None:
        self.given_back.append((pointed, priority))

    def began(self, pointed: Pointed, pid: int) -> None: ...

    def ended(self, pointed: Pointed, failed: str | None) -> None: ...

    def close(self) -> None: ...


def no_pods(_wants_lines: WantsLines) -> HoldsPods:
    raise AssertionError("no pod is to be held")


class InThread:
    """A worker in a thread of the test."""

    def __init__(self, source: Told) -> None:
        self._instance = Instance.ephemeral()
        self.worker = QueueWorker(
            self._instance, source, name="w", queues=["work"], slots=1, grace_s=0.0,
            say=lambda _: None, tell=lambda _: None, make_pods=no_pods,
        )  # fmt: skip
        self._thread = threading.Thread(target=self.worker.run, daemon=True)

    def __enter__(self) -> InThread:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave, as it does after SIGTERM."""
        self.worker.leave()
        self._thread.join(30)
        assert not self._thread.is_alive()
        self._instance.close()


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
