"""Whether a thread that is to come round again and again does so."""

from __future__ import annotations

import time

from ..storage.patience import PatientDatabase

HANG_S = 30.0
"""A thread that has not come round for so long hangs."""


class Rounds:
    """The rounds of one thread.

    Args:
        database: what that thread asks, with a connection of its own. To wait for it is not to hang, however long it is silent.
    """

    def __init__(self, database: PatientDatabase) -> None:
        self._database = database
        self._began = time.monotonic()

    def begin_one(self) -> None:
        """It comes round."""
        self._began = time.monotonic()

    @property
    def hang(self) -> bool:
        """Whether it has neither come round nor waited for its database for too long."""
        return time.monotonic() - max(self._began, self._database.waited_until) > HANG_S
