"""What is said of daemons: from the database, by any process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..instance.instance import Instance
from ..storage.daemons import DaemonRow, Daemons
from ..storage.liveness import proven_gone
from ..storage.queue import Queue

LIVE_TTLS = 2.0
"""A daemon that has not beaten for so many TTLs is not counted as living. (For people: nothing is decided by it.)"""


def read_status(instance: Instance) -> dict[str, Any]:
    """The document of `daemon status --json`: daemons with their loops, and the queue."""
    limits = instance.queue_limits
    queue = Queue(instance.journal)
    depth = queue.depth()
    return {
        "daemons": [_one(row, instance) for row in Daemons(instance.database).all()],
        "queue": {
            "waiting": depth.runs,
            "oldest_at": depth.oldest_at,
            "active": queue.active().count,
            "max_concurrent_runs": limits.max_concurrent_runs if instance.has_queue else None,
        },
    }


def living(instance: Instance, loop: str) -> int:
    """How many daemons that run this loop have been heard of lately."""
    return sum(is_live(row, instance) and loop in row.body["loops"] for row in Daemons(instance.database).all())


def is_live(row: DaemonRow, instance: Instance) -> bool:
    """Whether it has been heard of lately."""
    return row.age_s < LIVE_TTLS * instance.daemon_ttl_s and proven_gone(row.owner) is None


def _one(row: DaemonRow, instance: Instance) -> dict[str, Any]:
    return {
        "daemon_id": row.daemon_id,
        "is_live": is_live(row, instance),
        "heard_of_s_ago": round(row.age_s, 3),
        **row.body,
    }


def describe(status: Mapping[str, Any]) -> Iterator[str]:
    """The same for people, line by line."""
    if not status["daemons"]:
        yield "No daemon. Start one: runplane daemon run"
    for one in status["daemons"]:
        heard = f"heard of {one['heard_of_s_ago']:.1f} s ago"
        yield f"process {one['pid']} on {one['host']}, version {one['version']}, {'live' if one['is_live'] else 'NOT live'}, {heard}"
        for name, loop in one["loops"].items():
            yield f"  {name:<8} {loop['state']:<13} {loop['passes']} passes, {loop['done']} runs"
            for error in loop["errors"]:
                yield f"           {error['text']}"
    queue = status["queue"]
    if queue["max_concurrent_runs"] is not None:
        most = queue["max_concurrent_runs"]
        yield f"queue: {queue['waiting']} waiting, {queue['active']} active of {'any number' if most < 0 else f'at most {most}'}"
