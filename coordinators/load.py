"""Reading what the limits are compared with, for who picks and for who explains."""

from __future__ import annotations

from collections.abc import Mapping

from ..storage.pools import Pools
from ..storage.queue import Queue
from .limits import QueueLimits
from .picking import Load, tag_keys


def read_load(queue: Queue, pools: Pools, limits: QueueLimits, reserved: Mapping[str, int] | None = None) -> Load:
    """What is under way now.

    Args:
        reserved: slots that first steps of runs that were just started are about to take.
    """
    return Load(queue.active(tag_keys(limits)), free_slots(pools, limits, reserved or {}))


def free_slots(pools: Pools, limits: QueueLimits, reserved: Mapping[str, int]) -> Mapping[str, int]:
    """How many first steps each pool has room for. Pools without a limit are left out."""
    if not limits.block_on_pools:
        return {}
    found: dict[str, int] = {}
    for pool in pools.usage():
        slots = limits.default_pool_limit if pool.is_default else pool.slots
        if slots is not None:
            found[pool.name] = slots - pool.used - reserved.get(pool.name, 0) + limits.pool_buffer
    return found
