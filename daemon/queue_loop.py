"""Takes runs from the queue as the limits allow, and hands them to whoever launches (``launch_loop.py``)."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from ..coordinators.limits import QueueLimits
from ..coordinators.load import read_load, with_pools
from ..coordinators.picking import Bucket, Load, Picks, buckets_of, free_places, in_bucket, pick, tag_keys
from ..events.event import NewEvent
from ..events.kinds import EventKind
from ..instance.instance import Instance
from ..storage.daemons import Daemons
from ..storage.launches import Launches
from ..storage.leases import BeatWatch
from ..storage.liveness import proven_gone
from ..storage.pools import Pools
from ..storage.queue import TAKEN_AT_ONCE, Queue, QueuedRun
from .contract import LoopContext, LoopReport

RESERVED_S = 15.0
"""How long at most the first steps of a run that was taken are counted as if they held their slots: until it has come so far, or has ended."""
LOOK_FOR_GONE_S = 1.0
SMALLEST_PAGE = 50
TURNS = 20
"""A pass ends after so many transactions; the next one follows at once."""


class QueueLoop:
    """The queue loop; see ``DaemonLoop``.

    Args:
        limits: what has to be satisfied.
        interval_s: how often to look when nothing is heard of.
        ttl_s: how long another daemon's beat has to stand still before its launches are taken up again.
    """

    name = "queue"
    budget_s = 30.0
    is_leased = True
    wakes = True

    def __init__(
        self, limits: QueueLimits, *, interval_s: float, ttl_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.interval_s = interval_s
        self._given = self._limits = limits
        self._keys = tag_keys(limits)
        self._ttl_s = ttl_s
        self._clock = clock
        self._queue: Queue
        self._fence = 0
        self._parked: set[str] = set()
        self._reserved: dict[str, tuple[float, Mapping[str, int]]] = {}
        self._watches: dict[str, BeatWatch] = {}
        self._looked_for_gone = clock() - LOOK_FOR_GONE_S

    def run_once(self, context: LoopContext) -> LoopReport:
        """Take what may be taken."""
        try:
            return self._pass(context)
        except BaseException:
            # What was put aside is not known any more.
            self._fence = 0
            raise

    def _pass(self, context: LoopContext) -> LoopReport:
        self._queue = Queue(context.instance.journal)
        if context.held.fence != self._fence:
            self._begin_anew(context)
        self._take_up_launches(context)
        waited_s: list[float] = []
        for _ in range(TURNS):
            more, settled = self._turn(context)
            waited_s += more
            if settled or context.stopping():
                return LoopReport(len(waited_s), latencies_s=tuple(waited_s))
        return LoopReport(len(waited_s), again=True, latencies_s=tuple(waited_s))

    def close(self) -> None:
        """Nothing is held."""

    def _begin_anew(self, context: LoopContext) -> None:
        """The lease is new: what was put aside was so by the limits of another process."""
        self._queue.look_at_all_again(context.held)
        self._parked.clear()
        self._reserved.clear()
        self._fence = context.held.fence

    # One turn: read, decide, store ----------------------------------------------------------------------------------------

    def _turn(self, context: LoopContext) -> tuple[list[float], bool]:
        """How long each run that was taken had waited, and whether there is nothing more to take now."""
        queue, pools = self._queue, Pools(context.instance.database)
        self._limits = with_pools(self._given, pools)
        self._keys = tag_keys(self._limits)
        load = read_load(queue, pools, self._limits, self._reservations())
        free = free_places(self._limits, load.active)
        if free == 0:
            return [], True
        size = TAKEN_AT_ONCE if free is None else min(TAKEN_AT_ONCE, max(free, SMALLEST_PAGE))
        page = queue.waiting(size, self._keys)
        if not page and not self._parked:
            return [], True
        aside = self._aside(context, load)
        waiting = sorted([*page, *aside], key=lambda run: (-run.priority, run.at, run.run_id))
        if len(page) == size:
            # What comes behind the page has not been read yet.
            waiting = waiting[: waiting.index(page[-1]) + 1]
        picks = pick(waiting, self._limits, load, TAKEN_AT_ONCE)
        moved = self._park(context, waiting, picks)
        if any(run.parked is not None and run.run_id in moved for run in aside):
            # More of those that wait for the same limit have to be read, before anybody behind them is taken.
            return [], False
        taken = self._take(context, waiting, picks)
        return taken, len(taken) == free or (not taken and not moved)

    def _aside(self, context: LoopContext, load: Load) -> list[QueuedRun]:
        """Of those that were put aside, as many as their limit has room for now."""
        found: list[QueuedRun] = []
        for text in sorted(self._parked):
            room = self._room(text, load)
            if room <= 0:
                continue
            runs = self._queue.waiting(min(room, TAKEN_AT_ONCE), self._keys, parked=text)
            if not runs:
                self._parked.discard(text)
            found += runs
        return found

    def _room(self, text: str, load: Load) -> int:
        limit = json.loads(text)
        if isinstance(limit, dict):
            free = [load.free_slots.get(pool, TAKEN_AT_ONCE) for pool in limit["pools"]]
            return sum(n for n in free if n > 0)
        bucket = Bucket(*limit)
        tags = {bucket.key: bucket.value or ""}
        bounds = [most for found, most in buckets_of(tags, self._limits.tags) if found == bucket]
        return min(bounds, default=TAKEN_AT_ONCE) - in_bucket(load.active, bucket)

    def _park(self, context: LoopContext, waiting: Sequence[QueuedRun], picks: Picks) -> set[str]:
        """Put aside what a limit keeps back; those that were not put aside for the same limit before."""
        before = {run.run_id: run.parked for run in waiting}
        moved = {run_id: text for run_id, text in picks.blocked.items() if before[run_id] != text}
        if moved:
            self._queue.park(context.held, moved)
            self._parked.update(moved.values())
        return set(moved)

    def _take(self, context: LoopContext, waiting: Sequence[QueuedRun], picks: Picks) -> list[float]:
        if not picks.run_ids:
            return []
        event = NewEvent(EventKind.RUN_STARTING, None, None, {}, time.time())
        taken = self._queue.dequeue(context.held, picks.run_ids, picks.room, event)
        until = self._clock() + RESERVED_S
        for run in waiting:
            if run.run_id in taken and run.pools:
                self._reserved[run.run_id] = (until, run.pools)
        return [taken[run.run_id] - run.at for run in waiting if run.run_id in taken]

    def _reservations(self) -> Counter[str]:
        now = self._clock()
        lasting = [run_id for run_id, (until, _) in self._reserved.items() if until > now]
        still = self._queue.yet_to_begin(lasting) if lasting else ()
        self._reserved = {run_id: self._reserved[run_id] for run_id in still}
        found: Counter[str] = Counter()
        for _, pools in self._reserved.values():
            found.update(pools)
        return found

    # Launches of daemons that are gone ------------------------------------------------------------------------------------

    def _take_up_launches(self, context: LoopContext) -> None:
        """Give free what daemons had taken that are gone: on evidence, or when their beat stood still."""
        if self._clock() - self._looked_for_gone < min(LOOK_FOR_GONE_S, self._ttl_s / 8):
            return
        self._looked_for_gone = self._clock()
        launches = Launches(context.instance.database, context.me.worker_id)
        holders = [d for d in launches.holders() if d != context.me.worker_id]
        known = {row.daemon_id: row for row in Daemons(context.instance.database).all()} if holders else {}
        for daemon_id in holders:
            row = known.get(daemon_id)
            watch = self._watches.setdefault(daemon_id, BeatWatch(self._ttl_s, self._clock))
            still = watch.stood_still(row.beat if row else None)
            if still or (row is not None and proven_gone(row.owner) is not None):
                launches.set_free(daemon_id)
                del self._watches[daemon_id]


def queue_loop_of(instance: Instance, *, ttl_s: float) -> QueueLoop:
    """The queue loop as the instance's settings want it."""
    interval_s = float(instance.settings.run_queue.dequeue_interval_seconds)
    return QueueLoop(instance.queue_limits, interval_s=interval_s, ttl_s=ttl_s)
