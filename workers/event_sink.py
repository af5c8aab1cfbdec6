"""How a step process that stands for itself talks to storage: claim, append, close. Short connections, none held in between.

What the step writes waits here and travels with the outcome; a step that takes long has it flushed by a thread of its own, and an
output is sent soon after it is there, since others may wait for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..errors import FencedError
from ..events.event import NewEvent
from ..events.kinds import EventKind
from ..storage.contract import AttemptRef, Claimed
from .attempt_journal import AttemptJournal

FLUSH_S = 5.0
OUTPUT_FLUSH_S = 0.25
MOST_WAITING = 2000
"""A step that writes more than this between two flushes waits until they are stored."""
MOST_BYTES_WAITING = 32 * 1024 * 1024
"""The same, of values that storage is to keep."""


class EventSink:
    """Writes the events of one attempt.

    Args:
        journal: the storage; `release` closes its connection after each use. last: stores what is left at the end.
        run_id, ref: the attempt. claimed: its claim.
    """

    def __init__(
        self,
        journal: AttemptJournal,
        last: AttemptJournal,
        run_id: str,
        ref: AttemptRef,
        claimed: Claimed,
        release: Callable[[], None],
    ) -> None:
        self._journal = journal
        self._last = last
        self._run_id = run_id
        self._ref = ref
        self._nonce = claimed.nonce
        self._release = release
        self._waiting: list[NewEvent] = []
        self._waiting_bytes = 0
        self._batch = 0
        self._refused = False
        self._lock = threading.Lock()
        self._due = threading.Condition(self._lock)
        self._flush_in: float = FLUSH_S
        self._closed = False
        self._thread = threading.Thread(target=self._flush_now_and_then, name="runplane-event-sink", daemon=True)
        self._thread.start()

    def take(self, event: NewEvent) -> None:
        """Keep an event until the next flush."""
        with self._lock:
            self._waiting.append(event)
            self._waiting_bytes += len(event.value or b"")
            if len(self._waiting) >= MOST_WAITING or self._waiting_bytes >= MOST_BYTES_WAITING:
                self._flush(self._journal)
            if event.kind == EventKind.STEP_OUTPUT:
                self._flush_in = OUTPUT_FLUSH_S
                self._due.notify()

    def ensure_current(self) -> None:
        """Raise FencedError when storage has refused this attempt's events. (What an attempt keeps has a place of its own, so a
        late writer harms nothing; the outcome is refused at the latest.)"""
        if self._refused:
            raise FencedError("the attempt was sealed", where=f"step {self._ref.step} attempt {self._ref.n}")

    def close(self) -> bool:
        """Write what is left. True when everything was taken; False when the attempt had been sealed."""
        with self._lock:
            self._closed = True
            self._due.notify()
        self._thread.join()
        with self._lock:
            self._flush(self._last)
        return not self._refused

    def _flush_now_and_then(self) -> None:
        with self._lock:
            while not self._closed:
                woken = self._due.wait(self._flush_in)
                if self._closed:
                    return
                if woken and self._due.wait(OUTPUT_FLUSH_S) and self._closed:
                    return
                self._flush_in = FLUSH_S
                self._flush(self._journal)

    def _flush(self, journal: AttemptJournal) -> None:
        if not self._waiting or self._refused:
            return
        events, self._waiting, self._waiting_bytes = self._waiting, [], 0
        self._batch += 1
        stored = journal.append_as_attempt(self._run_id, self._ref, self._nonce, self._batch, events)
        self._refused = not stored
        self._release()
