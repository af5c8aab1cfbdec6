"""Why a run that is QUEUED is not started yet. Pure: the same data as ``picking``, said to a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..events.pool_tags import POOL_TAG
from ..storage.queue import QueuedRun
from .limits import QueueLimits
from .picking import Load, buckets_of, in_bucket


@dataclass(frozen=True, slots=True)
class Blocker:
    """Something that has to change before the run may start.

    Attributes:
        kind: ``max_concurrent_runs``, ``tag``, ``pools`` or ``daemon``.
        text: a sentence.
        used, limit: how many are there now, and how many may be; None where that makes no sense.
    """

    kind: str
    text: str
    used: int | None = None
    limit: int | None = None


def why_waiting(run: QueuedRun, limits: QueueLimits, load: Load, *, daemons: int | None) -> list[Blocker]:
    """What keeps this run from starting now, apart from those ahead of it. Empty: it is started as soon as its turn comes.

    Args:
        daemons: how many daemons that serve the queue have been heard of lately; None: not known.
    """
    found: list[Blocker] = []
    if daemons == 0:
        found.append(Blocker("daemon", "No daemon serves the queue. Start one: runplane daemon run"))
    most, active = limits.max_concurrent_runs, load.active.count
    if 0 <= most <= active:
        text = f"{active} of at most {most} runs are active (max_concurrent_runs)."
        found.append(Blocker("max_concurrent_runs", text, active, most))
    for bucket, limit in buckets_of(run.tags, limits.tags):
        used = in_bucket(load.active, bucket)
        if used >= limit:
            tag = bucket.key if bucket.value is None else f"{bucket.key}={bucket.value}"
            pool = bucket.key.removeprefix(POOL_TAG)
            if pool != bucket.key:
                text = f"{used} of at most {limit} runs that use the pool {pool} are active."
                found.append(Blocker("pools", text, used, limit))
                continue
            text = f"{used} of at most {limit} runs with the tag {tag} are active."
            found.append(Blocker("tag", text, used, limit))
    if limits.block_on_pools and run.pools and not _has_room(run.pools, load.free_slots):
        names = ", ".join(sorted(run.pools))
        text = f"All its first steps need a slot of a pool, and none is free: {names}."
        found.append(Blocker("pools", text))
    return found


def _has_room(pools: Mapping[str, int], free: Mapping[str, int]) -> bool:
    return any(name not in free or free[name] > 0 for name in pools)
