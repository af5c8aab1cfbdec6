"""How long something takes by itself: the time that it waits for its database is not its own."""

from __future__ import annotations

import time

from .patience import PatientDatabase


class OwnTime:
    """A clock that stands still while its database is waited for, however long that is silent.

    Args:
        database: with a connection of its own, used by nobody but who is timed.
    """

    def __init__(self, database: PatientDatabase) -> None:
        self._database = database
        self.begin()

    def begin(self) -> None:
        """Count from here."""
        self._began, self._had_waited_s = time.monotonic(), self._database.waited_s

    @property
    def all_s(self) -> float:
        """Seconds since it began, the waiting among them."""
        return time.monotonic() - self._began

    @property
    def own_s(self) -> float:
        """Seconds since it began, without the waiting."""
        return self.all_s - (self._database.waited_s - self._had_waited_s)
