"""What a forked step has its worker write: its claim, and the last of its events. Both ends of that talk.

The worker has a connection to the database. One of the step's own costs a login, which is more processor time than all else that a short step
does there; it would need two, since none is held while user code runs. What a step writes meanwhile, and what is large, it writes itself.
"""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from ..errors import StorageUnavailableError
from ..events.event import NewEvent
from ..executors.template.step_process import Ask
from ..executors.template.wire import event_details, read_event
from ..storage.contract import AttemptRef, Claimed, NotClaimed
from .attempt_journal import AttemptJournal
from .step_order import attempt_of_order, ref_of_order

CLAIM, APPEND = "claim", "append"
MOST_EVENTS = 200
MOST_BYTES = 64 * 1024
"""Of values and bodies. More than this would keep the worker's other steps waiting."""
Answer = Callable[[bytes | None], None]


class ByWorker:
    """The journal as one attempt's process sees it: its worker writes, or else the process itself.

    Args:
        ask: asks the worker. order: the attempt that it forked this process for, as its template knows it (``ref_of_order``).
        own: writes what the worker does not.
    """

    def __init__(self, ask: Ask, order: AttemptRef, own: AttemptJournal) -> None:
        self._ask = ask
        self._order = order
        self._own = own

    def claim(
        self, run_id: str, ref: AttemptRef, worker: str, event: NewEvent, *, make: bool = False
    ) -> Claimed | NotClaimed:
        """See ``Journal``."""
        if not make and ref_of_order(run_id, ref) == self._order:
            answer = self._answer(CLAIM, worker, event_details(event))
            if answer is not None:
                claimed: Claimed | NotClaimed = pickle.loads(answer)  # noqa: S301 - from our own worker
                return claimed
        return self._own.claim(run_id, ref, worker, event, make=make)

    def append_as_attempt(
        self, run_id: str, ref: AttemptRef, nonce: str, batch: int, events: Sequence[NewEvent]
    ) -> bool:
        """See ``Journal``. What the worker may have stored is stored once: it is the same batch."""
        if _are_small(events) and ref_of_order(run_id, ref) == self._order:
            answer = self._answer(APPEND, nonce, batch, [event_details(event) for event in events])
            if answer is not None:
                is_stored: bool = pickle.loads(answer)  # noqa: S301 - from our own worker
                return is_stored
        return self._own.append_as_attempt(run_id, ref, nonce, batch, events)

    def _answer(self, kind: str, *details: Any) -> bytes | None:
        with suppress(ConnectionError):  # user code closed what it found open
            return self._ask(kind, details)
        return None


def _are_small(events: Sequence[NewEvent]) -> bool:
    return len(events) <= MOST_EVENTS and sum(len(e.value or b"") + len(repr(e.body)) for e in events) <= MOST_BYTES


class _Wanted(NamedTuple):
    run_id: str
    ref: AttemptRef
    kind: str
    details: Any
    answer: Answer


class ChildWrites:
    """What the steps of a worker want written. ``want`` may be called by any thread, ``write_all`` by the one whose connection it is.

    Args:
        journal: writes.
        wake: called when there is something to write.
    """

    def __init__(self, journal: AttemptJournal, wake: Callable[[], None]) -> None:
        self._journal = journal
        self._wake = wake
        self._wanted: deque[_Wanted] = deque()

    def want(self, order: AttemptRef, kind: str, details: Any, answer: Answer) -> None:
        """See ``executors.processes.contract.Listener.wants``."""
        self._wanted.append(_Wanted(*attempt_of_order(order), kind, details, answer))
        self._wake()

    def write_all(self) -> bool:
        """Write what is wanted now, and answer; whether there was anything.

        Raises:
            StorageUnavailableError: the rest waits for another call.
        """
        count = len(self._wanted)
        for _ in range(count):
            first = self._wanted[0]
            first.answer(self._written(first))
            self._wanted.popleft()
        return count > 0

    def _written(self, wanted: _Wanted) -> bytes | None:
        """The answer; None: the step is to write it itself, and so to hear what is wrong with it."""
        try:
            return pickle.dumps(self._write(wanted))
        except StorageUnavailableError:
            raise
        except Exception:  # noqa: BLE001 - user code runs at the other end, and can send anything
            return None

    def _write(self, wanted: _Wanted) -> object:
        if wanted.kind == CLAIM:
            worker, event = wanted.details
            return self._journal.claim(wanted.run_id, wanted.ref, str(worker), read_event(event))
        if wanted.kind == APPEND:
            nonce, batch, events = wanted.details
            written = [read_event(event) for event in events]
            return self._journal.append_as_attempt(wanted.run_id, wanted.ref, str(nonce), int(batch), written)
        raise ValueError(f"a step wants {wanted.kind!r} of its worker")
