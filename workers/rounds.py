"""Whether a thread that is to come round again and again does so."""

from __future__ import annotations

from ..storage.own_time import OwnTime
from ..storage.patience import PatientDatabase

HANG_S = 30.0
"""A thread that has not come round for so long hangs."""


class Rounds:
    """The rounds of one thread.

    Args:
        database: what that thread asks, with a connection of its own. To wait for it is not to hang, however long it is silent.
    """

    def __init__(self, database: PatientDatabase) -> None:
        self._round = OwnTime(database)

    def begin_one(self) -> None:
        """It comes round."""
        self._round.begin()

    @property
    def hang(self) -> bool:
        """Whether its round takes too long, without what it waits for its database."""
        return self._round.own_s > HANG_S
