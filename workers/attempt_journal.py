"""Where one attempt is claimed and written: by its own process, or by the worker that forked it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..events.event import NewEvent
from ..storage.contract import AttemptRef, Claimed, NotClaimed


class AttemptJournal(Protocol):
    """What is used of a ``Journal``."""

    def claim(
        self, run_id: str, ref: AttemptRef, worker: str, event: NewEvent, *, make: bool = False
    ) -> Claimed | NotClaimed:
        """See ``Journal``."""

    def append_as_attempt(
        self, run_id: str, ref: AttemptRef, nonce: str, batch: int, events: Sequence[NewEvent]
    ) -> bool:
        """See ``Journal``."""
