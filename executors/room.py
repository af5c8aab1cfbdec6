"""Pools that the driver waits for: the supervisor's thread looks when something may have been written, and tells the driver of room.

So a slot that another run frees is taken at once, and nobody asks a full pool in vain: looking is a read, asking is a transaction
that locks the pool's row.
"""

from __future__ import annotations

from collections.abc import Callable

from ..serdes.record import record
from ..storage.pools import Pools


@record
class RoomSeen:
    """These pools were full when they were asked last, and are not any more. `key` is the engine's name for them."""

    key: str


class RoomWatch:
    """What is waited for, by the engine's name for it.

    Args:
        pools: the pools of the run's database.
        tell: takes what was seen; called from the thread that looks.
    """

    def __init__(self, pools: Pools, tell: Callable[[RoomSeen], None]) -> None:
        self._pools = pools
        self._tell = tell
        self._awaited: dict[str, tuple[str, ...]] = {}

    def await_room(self, key: str, names: tuple[str, ...]) -> None:
        """Tell once when each of these pools has a free slot."""
        self._awaited[key] = names

    def look(self) -> None:
        """Called by the supervisor's thread, whenever something may have been written and now and then without a reason.

        Raises:
            StorageUnavailableError: no answer.
        """
        # A copy: the driver's thread adds to it meanwhile.
        for key, names in list(self._awaited.items()):
            if self._pools.have_room(names):
                del self._awaited[key]
                self._tell(RoomSeen(key))
