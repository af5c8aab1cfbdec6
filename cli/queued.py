"""What is said of runs that wait: their place in the queue, and what keeps each from starting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from ..coordinators.load import read_load, with_pools
from ..coordinators.picking import Load, tag_keys
from ..coordinators.waiting import why_waiting
from ..daemon.status import living
from ..instance.instance import Instance
from ..storage.pools import Pools
from ..storage.queue import Queue, QueuedRun
from .report import at, short


class QueueView:
    """The queue of an instance as it is now."""

    def __init__(self, instance: Instance) -> None:
        self._queue = Queue(instance.journal)
        self._limits = with_pools(instance.queue_limits, Pools(instance.database))
        self._keys = tag_keys(self._limits)
        self._load: Load = read_load(self._queue, Pools(instance.database), self._limits)
        self._daemons = living(instance, "queue")

    def page(self, limit: int) -> list[dict[str, Any]]:
        """The first runs of the queue, for programs."""
        entries = self._queue.everyone(limit, self._keys)
        return [self._one(entry, position) for position, entry in enumerate(entries, 1)]

    def of(self, run_id: str) -> dict[str, Any] | None:
        """One run that waits; None when it does not (any more)."""
        entry = self._queue.entry(run_id, self._keys)
        return None if entry is None else self._one(entry, self._queue.ahead_of(entry) + 1)

    def _one(self, entry: QueuedRun, position: int) -> dict[str, Any]:
        blockers = why_waiting(entry, self._limits, self._load, daemons=self._daemons)
        return {
            "run_id": entry.run_id,
            "position": position,
            "priority": entry.priority,
            "queued_at": entry.at,
            "blocked_by": [asdict(blocker) for blocker in blockers],
        }


def queued_lines(rows: list[dict[str, Any]], names: dict[str, str]) -> Iterator[str]:
    """A line per run, in the order in which they are to be started."""
    width = max((len(name) for name in names.values()), default=0)
    for row in rows:
        first = next((blocker["text"] for blocker in row["blocked_by"]), "starts when its turn comes")
        line = f"{row['position']:>4}  {short(row['run_id'])}  {names[row['run_id']]:<{width}}  {at(row['queued_at'])}"
        yield f"{line}  priority {row['priority']}  {first}" if row["priority"] else f"{line}  {first}"


def why_lines(row: dict[str, Any]) -> Iterator[str]:
    """Why one run waits."""
    yield f"It waits in the queue since {at(row['queued_at'])}, at position {row['position']}."
    for blocker in row["blocked_by"]:
        yield f"  {blocker['text']}"
    if not row["blocked_by"]:
        yield "  Nothing keeps it: it starts when its turn comes."
