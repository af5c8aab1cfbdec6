"""What a step process that stands for itself keeps before it stores it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from runplane.events.event import NewEvent
from runplane.events.kinds import EventKind
from runplane.events.run import Run
from runplane.storage.contract import AttemptRef, Claimed, StepBrief
from runplane.workers.event_sink import MOST_WAITING, EventSink

CLAIMED = Claimed(1, "nonce", 0, 1, StepBrief(Run("r", "job"), None, ()))
REF = AttemptRef("a", 1)


class Stored:
    """A journal that keeps batches."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []

    def append_as_attempt(self, run_id: str, ref: AttemptRef, nonce: str, batch: int, events: Sequence[Any]) -> bool:
        self.batches.append(list(events))
        return True


def test_a_step_that_writes_much_stores_it_on_the_way() -> None:
    journal = Stored()
    sink = EventSink(journal, journal, "r", REF, CLAIMED, lambda: None)

    for i in range(3 * MOST_WAITING):
        sink.take(NewEvent(EventKind.LOG, "a", 1, {"i": i}, time.time()))
    sink.close()

    assert max(len(batch) for batch in journal.batches) <= MOST_WAITING
    assert [e.body["i"] for batch in journal.batches for e in batch] == list(range(3 * MOST_WAITING))
