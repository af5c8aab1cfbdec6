"""The limits of a queue, as data. (A named tuple, because every worker loads this with the settings.)"""

from __future__ import annotations

from typing import NamedTuple

from ..engine.limits import TagLimit


class QueueLimits(NamedTuple):
    """What has to be satisfied before a run is started.

    Attributes:
        max_concurrent_runs: active runs at most; -1 is no limit, 0 lets none start.
        tags: limits by the runs' tags; all of them have to be satisfied.
        block_on_pools: keep a run waiting while every one of its first steps would wait for a slot of a pool.
        pool_buffer: how many first steps more than a pool has room for may be started all the same.
        default_pool_limit: slots of a pool that nobody set a limit for; None is no limit.
        pools_hold_runs: a slot of a pool is held by a run from its start to its end, for all its steps that need the pool
            (``concurrency.pools.granularity: run``).
    """

    max_concurrent_runs: int = 10
    tags: tuple[TagLimit, ...] = ()
    block_on_pools: bool = True
    pool_buffer: int = 0
    default_pool_limit: int | None = None
    pools_hold_runs: bool = False
