"""The coordinator's supervisor thread: it beats, and it notices that the run is to end, that another coordinator took over, or that
a pool which the run waits for has room.

It beats from a thread of its own, so that user code which keeps the driver's thread busy does not look like a dead coordinator.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ..errors import FencedError, StorageUnavailableError
from ..storage.database import Wakes
from ..storage.journal import Journal
from .contract import PartFailed
from .driver import ControlSeen, canceled_event, canceling_event
from .room import RoomWatch

BEAT_S = 5.0
LOOK_S = 0.25


class Heartbeat:
    """Beats for one run until it is stopped.

    Args:
        journal: where the run is stored.
        run_id, epoch: what to beat for.
        tell: takes what was seen; called from this object's thread.
        beat_s: seconds between two beats.
        follow: tell also when the run's log has grown.
        room: the pools that the run waits for.
        is_over: whether the run's end is stored. Nothing is beaten for, and told, from then on.
    """

    def __init__(
        self,
        journal: Journal,
        run_id: str,
        epoch: int,
        tell: Callable[[ControlSeen | PartFailed], None],
        *,
        beat_s: float = BEAT_S,
        follow: bool = False,
        room: RoomWatch | None = None,
        is_over: Callable[[], bool] = lambda: False,
    ) -> None:
        self._journal = journal
        self._run_id = run_id
        self._epoch = epoch
        self._tell = tell
        self._beat_s = beat_s
        self._follow = follow
        self._room = room
        self._is_over = is_over
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="runplane-heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopped.set()
        # A run is not longer for the news that its supervisor waits for.
        if isinstance(self._journal.database, Wakes):
            self._journal.database.wake()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._loop()
        except Exception as error:  # noqa: BLE001 - a coordinator that does not beat may not go on as if it did
            self._tell(PartFailed(error))

    def _loop(self) -> None:
        intent, head, next_beat = "none", 0, 0.0
        # The run's end is news itself: who hears of it and is told to stop a moment later only does not wait once more meanwhile.
        while not self._stopped.is_set() and not self._is_over():
            try:
                now = time.monotonic()
                if now >= next_beat:
                    seen, grown = self._beat()
                    next_beat = now + self._beat_s
                elif self._journal.database.wait_for_news(min(LOOK_S, next_beat - now)):
                    now_seen = self._journal.head(self._run_id)
                    seen, grown = now_seen.intent, now_seen.head
                self._look_for_room()
            except FencedError:
                self._tell(ControlSeen("none", fenced=True))
                return
            except StorageUnavailableError:
                # Nobody is replaced because he could not be seen: the driver waits too.
                self._stopped.wait(LOOK_S)
                continue
            if seen != intent or (self._follow and grown != head):
                intent, head = seen, grown
                self._tell(ControlSeen(intent))

    def _beat(self) -> tuple[str, int]:
        """Beat; the run's intent and head. A cancel that was asked for by somebody who is gone since is stored here."""
        now = self._journal.beat(self._run_id, self._epoch)
        if not now.cancel_requested or now.intent != "none":
            return now.intent, now.head
        canceling = canceling_event("cancel", "Sending run termination request.")
        head = self._journal.intend(self._run_id, "cancel", canceling, canceled_event())
        return head.intent, head.head

    def _look_for_room(self) -> None:
        # Without news too: what is waited for now may have been written just before it was waited for.
        if self._room is not None:
            self._room.look()
