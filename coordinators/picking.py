"""Which of the runs that wait are started now. Pure: data in, data out.

The order is priority, then the time of enqueueing. A run that some limit does not allow is passed over, and those behind it have their
turn. Source of the limits' meaning: https://docs.dagster.io/guides/operate/managing-concurrency/run-concurrency
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..engine.limits import TagLimit
from ..storage.queue import ActiveRuns, QueuedRun, Room
from .limits import QueueLimits

PRIORITY_TAG = "dagster/priority"


@dataclass(frozen=True, slots=True, order=True)
class Bucket:
    """Runs that share a limit: all that have the tag, or all with one value of it.

    Attributes:
        value: None: any value.
    """

    key: str
    value: str | None = None

    def to_text(self) -> str:
        """The form kept in ``queue.parked``."""
        return json.dumps([self.key] if self.value is None else [self.key, self.value])


@dataclass(frozen=True, slots=True)
class Picks:
    """What a pass decided.

    Attributes:
        run_ids: to be started, in order.
        blocked: the others that were looked at, and the limit in the way of each (``Bucket.to_text``, ``pools_text``).
        room: what the decision takes for granted.
    """

    run_ids: tuple[str, ...]
    blocked: Mapping[str, str]
    room: Room


@dataclass(frozen=True, slots=True)
class Load:
    """What the limits are compared with.

    Attributes:
        active: runs under way.
        free_slots: per pool with a limit, how many slots are free for first steps; a pool that is not here has no limit.
    """

    active: ActiveRuns
    free_slots: Mapping[str, int] = field(default_factory=dict)


def priority_of(tags: Mapping[str, str]) -> int:
    """The tag ``dagster/priority`` as a number; anything else than a number is 0."""
    try:
        return int(tags.get(PRIORITY_TAG, "0"))
    except ValueError:
        return 0


def tag_keys(limits: QueueLimits) -> list[str]:
    """The tags that matter."""
    return sorted({limit.key for limit in limits.tags})


def buckets_of(tags: Mapping[str, str], limits: Iterable[TagLimit]) -> Iterator[tuple[Bucket, int]]:
    """The buckets that a run with these tags is in, and the limit of each."""
    for limit in limits:
        value = tags.get(limit.key)
        if value is None or (limit.value is not None and limit.value != value):
            continue
        yield Bucket(limit.key, value if limit.per_value or limit.value is not None else None), limit.limit


def in_bucket(active: ActiveRuns, bucket: Bucket) -> int:
    """How many active runs are in a bucket."""
    if bucket.value is not None:
        return active.by_tag.get((bucket.key, bucket.value), 0)
    return sum(count for (key, _), count in active.by_tag.items() if key == bucket.key)


def pools_text(pools: Iterable[str]) -> str:
    """Pools that a run waits for, in the form kept in ``queue.parked``."""
    return json.dumps({"pools": sorted(pools)})


def free_places(limits: QueueLimits, active: ActiveRuns) -> int | None:
    """How many runs more may be active; None: any number."""
    if limits.max_concurrent_runs < 0:
        return None
    return max(0, limits.max_concurrent_runs - active.count)


def pick(waiting: Sequence[QueuedRun], limits: QueueLimits, load: Load, most: int) -> Picks:
    """Choose from runs in their order.

    Args:
        most: so many at most.
    """
    free = free_places(limits, load.active)
    most = most if free is None else min(most, free)
    taken: list[str] = []
    blocked: dict[str, str] = {}
    buckets: Counter[Bucket] = Counter()
    slots: Counter[str] = Counter()
    bounds: dict[Bucket, int] = {}
    for run in waiting:
        if len(taken) >= most:
            break
        mine = list(buckets_of(run.tags, limits.tags))
        full = next((b for b, limit in mine if in_bucket(load.active, b) + buckets[b] >= limit), None)
        if full is not None:
            blocked[run.run_id] = full.to_text()
            continue
        if limits.block_on_pools and run.pools and not _has_slot(run.pools, load.free_slots, slots):
            blocked[run.run_id] = pools_text(run.pools)
            continue
        taken.append(run.run_id)
        slots.update(run.pools or {})
        for bucket, limit in mine:
            bounds[bucket] = min(limit, bounds.get(bucket, limit))
        buckets.update({bucket for bucket, _ in mine})
    tagged = [(b.key, b.value, bound - buckets[b]) for b, bound in sorted(bounds.items(), key=lambda i: i[0].to_text())]
    at_most = None if limits.max_concurrent_runs < 0 else limits.max_concurrent_runs - len(taken)
    return Picks(tuple(taken), blocked, Room(at_most, tuple(tagged)))


def _has_slot(pools: Mapping[str, int], free: Mapping[str, int], taken: Counter[str]) -> bool:
    """Whether one of these pools has room: then a first step of the run can work."""
    return any(name not in free or free[name] - taken[name] > 0 for name in pools)
