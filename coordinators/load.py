"""Reading what the limits are compared with, for who picks and for who explains."""

from __future__ import annotations

from collections.abc import Mapping

from ..engine.limits import TagLimit
from ..events.pool_tags import POOL_TAG
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


def with_pools(limits: QueueLimits, pools: Pools) -> QueueLimits:
    """The limits as they are now: where a slot is held by a run, each pool is a limit of the runs that have its tag."""
    if not limits.pools_hold_runs:
        return limits
    known = [(pool.name, limits.default_pool_limit if pool.is_default else pool.slots) for pool in pools.usage()]
    of_pools = [TagLimit(POOL_TAG + name, slots) for name, slots in known if slots is not None]
    return limits._replace(tags=(*limits.tags, *of_pools))


def free_slots(pools: Pools, limits: QueueLimits, reserved: Mapping[str, int]) -> Mapping[str, int]:
    """How many first steps each pool has room for. Pools without a limit are left out."""
    if not limits.block_on_pools or limits.pools_hold_runs:
        return {}
    found: dict[str, int] = {}
    for pool in pools.usage():
        slots = limits.default_pool_limit if pool.is_default else pool.slots
        if slots is not None:
            found[pool.name] = slots - pool.used - reserved.get(pool.name, 0) + limits.pool_buffer
    return found
