"""What is said of steps that stand in queues: how many wait and run in each, and whether a worker listens to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..events.run import Run
from ..instance.instance import Instance
from ..storage.step_queues import StepQueues, nobody_listens

MOST_NAMED = 5


def step_queues(instance: Instance, found: Run) -> list[dict[str, Any]]:
    """The queues that steps of a run that goes on stand in, for programs; empty when there are none."""
    if found.status.is_final:
        return []
    queues = StepQueues(instance.database, ttl_s=instance.lease_ttl_s)
    rows = sorted((r for r in queues.of_run(found.run_id) if r.ended is None), key=lambda row: row.ref)
    listening = queues.listening() if rows else {}
    return [
        {
            "queue": queue,
            "waiting": [row.ref.step for row in rows if row.queue == queue and row.watcher is None],
            "running": [row.ref.step for row in rows if row.queue == queue and row.watcher is not None],
            "has_workers": nobody_listens(queue, listening) is None,
            "worker_levels": sorted(listening.get(queue, ())),
        }
        for queue in sorted({row.queue for row in rows})
    ]


def step_queue_lines(queues: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The same for a person."""
    for one in queues:
        counts = [f"{_steps(one[key])} {key}" for key in ("waiting", "running") if one[key]]
        line = f"  queue {one['queue']}: {', '.join(counts)}"
        nobody = nobody_listens(one["queue"], {one["queue"]: set(one["worker_levels"])})
        yield f"{line}. {nobody}: runplane celery worker start -q {one['queue']}" if nobody else line


def _steps(keys: Sequence[str]) -> str:
    more = ", ..." if len(keys) > MOST_NAMED else ""
    return f"{len(keys)} ({', '.join(keys[:MOST_NAMED])}{more})"
