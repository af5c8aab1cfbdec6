"""Counting what is there, for metrics: runs by status, what waits in the queue and for which pools, queues of steps."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import field

from ..events.status import RunStatus
from ..serdes.record import record
from .database import Database
from .pools import Pool, Pools
from .rules import Rules
from .step_queues import QueueFigures, StepQueues

NO_POOL = ""
"""Stands for runs whose first steps do not all need a pool."""


@record
class Figures:
    """What one look at the database found.

    Attributes:
        runs: how many runs have which status.
        waiting: how many runs in the queue wait for which pool with their first steps; one that waits for several counts for each.
        oldest_s: how long the oldest of them has waited, in seconds.
        pools: limits and use.
        step_queues: queues that steps, or runs as tasks, wait in or that workers listen to.
    """

    runs: Mapping[RunStatus, int] = field(default_factory=dict)
    waiting: Mapping[str, int] = field(default_factory=dict)
    oldest_s: Mapping[str, float] = field(default_factory=dict)
    pools: tuple[Pool, ...] = ()
    step_queues: tuple[QueueFigures, ...] = ()


def read_figures(database: Database, *, ttl_s: float) -> Figures:
    """Look once. Reads an index entry for each run that is stored, and nothing else of it.

    Args:
        ttl_s: workers of step queues that were not heard of for so long are not counted.
    """
    rules = Rules(database.dialect)
    by_status = database.read(rules.named("SELECT h.status, count(*) FROM {run_head} h GROUP BY h.status"), {})
    queued = f"SELECT q.pools, count(*), max({database.dialect.now} - q.at) FROM {{queue}} q GROUP BY q.pools"
    waiting: Counter[str] = Counter({NO_POOL: 0})
    oldest_s: dict[str, float] = {NO_POOL: 0.0}
    for text, count, age_s in database.read(rules.named(queued), {}):
        for pool in json.loads(text) if text else (NO_POOL,):
            waiting[pool] += int(count)
            oldest_s[pool] = max(oldest_s.get(pool, 0.0), float(age_s))
    runs = dict.fromkeys(RunStatus, 0) | {RunStatus(status): int(count) for status, count in by_status}
    step_queues = StepQueues(database, ttl_s=ttl_s).figures()
    return Figures(runs, waiting, oldest_s, tuple(Pools(database).usage()), tuple(step_queues))
