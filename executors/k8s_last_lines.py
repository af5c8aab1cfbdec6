"""What the pods of steps printed last, in events of their attempts (see ``wanted_lines``), for a coordinator that reads it itself."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from ..events.event import Event, NewEvent
from ..kube.errors import KubeError, KubeForbiddenError, KubeNotFoundError
from ..storage.contract import AttemptRef
from .contract import engine_event
from .wanted_lines import CAN_NOT, PATIENCE_S, WantedLines

AGAIN_S = 0.3
"""Until a log is asked for again whose container is said to wait for its start: its step may have ended before the node has told that it began."""
_NOT_STARTED = 400


class LastLines:
    """Reads them one after the other in a thread of its own, which is there from the first failure on: creates and watches wait for none.

    Args:
        read: the event of an attempt, or None: it printed nothing. Raises KubeError.
        has_news: called when ``news`` has something, from that thread.
    """

    def __init__(self, read: Callable[[AttemptRef], NewEvent | None], has_news: Callable[[], None]) -> None:
        self._read = read
        self._has_news = has_news
        self._wanted = WantedLines()
        self._changed = threading.Condition()
        self._waiting: deque[AttemptRef] = deque()
        self._news: list[NewEvent] = []
        self._was_refused = False
        self._is_over = False
        self._thread: threading.Thread | None = None

    def heard(self, events: Sequence[Event]) -> None:
        """What the run's log says, in order, from its beginning on: read what is wanted of the attempts that failed."""
        if wanted := self._wanted.heard(events):
            self._ask(wanted)

    def news(self) -> list[NewEvent]:
        """The events that were not taken yet."""
        with self._changed:
            news, self._news = self._news, []
            return news

    def rest(self) -> list[NewEvent]:
        """As ``news``, at the run's end: what is on its way is waited for, and there are no news after it."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting, PATIENCE_S)
            if missing := [ref.step for ref in self._waiting]:
                why = f"the cluster did not answer within {PATIENCE_S:g} s (steps: {', '.join(missing[:5])})"
                self._news.append(engine_event(f"{CAN_NOT}: {why}."))
            self._end()
        return self.news()

    def close(self) -> None:
        """Read nothing any more, and wait for no answer."""
        with self._changed:
            self._end()

    # Inside -----------------------------------------------------------------------------------------------------------------------

    def _ask(self, wanted: Sequence[AttemptRef]) -> None:
        with self._changed:
            if self._is_over or self._was_refused:
                return
            self._waiting.extend(wanted)
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="k8s-last-lines", daemon=True)
                self._thread.start()

    def _end(self) -> None:
        self._is_over = True
        self._waiting.clear()
        self._changed.notify_all()

    def _work(self) -> None:
        was_said = False
        given_up: dict[AttemptRef, float] = {}
        while (ref := self._next()) is not None:
            event, is_refused = None, False
            try:
                event = self._read(ref)
            except KubeNotFoundError:
                pass  # its pod is gone, and what it printed with it
            except Exception as error:  # noqa: BLE001 - it is told, and no run fails for it
                is_early = isinstance(error, KubeError) and error.status == _NOT_STARTED
                if is_early and time.monotonic() < given_up.setdefault(ref, time.monotonic() + PATIENCE_S):
                    self._later()
                    continue
                event = None if was_said else engine_event(f"{CAN_NOT}: {error}")
                was_said, is_refused = True, isinstance(error, KubeForbiddenError)
            self._done(event, is_refused=is_refused)

    def _next(self) -> AttemptRef | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_over)
            return None if self._is_over else self._waiting[0]

    def _later(self) -> None:
        """Ask for the others first, and for this one again after a moment."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._is_over, AGAIN_S):
                self._waiting.rotate(-1)

    def _done(self, event: NewEvent | None, *, is_refused: bool) -> None:
        with self._changed:
            if self._is_over:
                return
            self._waiting.popleft()
            if is_refused:
                self._was_refused = True
                self._waiting.clear()
            if event is not None:
                self._news.append(event)
            self._changed.notify_all()
        if event is not None:
            self._has_news()
