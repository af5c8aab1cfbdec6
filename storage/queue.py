"""The queue of runs: who waits, who is taken from it, and that never more are taken than there is room for.

A run enters with the transaction that makes it QUEUED and leaves with the one that moves it on (``rules.Rules.status``), so the rows
here are exactly the runs that are QUEUED. What is taken is decided elsewhere, on data that was read before; the transaction that takes
counts again, and takes nothing if there is less room than the decision took for granted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from typing import Any, NamedTuple

from ..errors import ConflictError
from ..events.event import NewEvent
from ..events.kinds import EventKind
from ..events.run import Run
from ..events.status import ACTIVE, RunStatus
from ..serdes.record import record
from .dialect import Dialect, Statement
from .journal import Journal
from .leases import HELD, Lease, fenced, locking
from .rules import new_mark

_ACTIVE = "(" + ", ".join(f"'{status.value}'" for status in sorted(ACTIVE)) + ")"
TAKEN_AT_ONCE = 250
"""At most so many runs are taken in one transaction; it locks the head of each."""


class QueuedRun(NamedTuple):
    """A run that waits.

    Attributes:
        priority: higher comes first; equal ones in the order in which they were enqueued.
        at: when it was enqueued, the database's time.
        tags: those that were asked for.
        pools: how many of its first steps need a slot of which pool; None: some first step needs none.
        parked: the limit that it was found to wait for; None: it was not looked at yet.
    """

    run_id: str
    priority: int
    at: float
    tags: Mapping[str, str]
    pools: Mapping[str, int] | None
    parked: str | None = None


@record
class ActiveRuns:
    """What counts against the limits.

    Attributes:
        count: runs that are STARTING, STARTED or CANCELING.
        by_tag: how many of them have this key and value.
    """

    count: int
    by_tag: Mapping[tuple[str, str], int] = field(default_factory=dict)


@record
class Room:
    """What the runs to be taken take for granted, and the transaction counts again.

    Attributes:
        active_at_most: so many runs may be active before; None: any number.
        tagged_at_most: key, value (None: any value of the key), and how many runs with it may be active before.
    """

    active_at_most: int | None = None
    tagged_at_most: Sequence[tuple[str, str | None, int]] = ()


@record
class Depth:
    """How much waits: runs, and since when the oldest does."""

    runs: int
    oldest_at: float | None


class Queue:
    """The queue of one database.

    Args:
        journal: writes runs of that database.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._database = journal.database
        self._rules = journal.rules
        self._sql = {name: self._rules.named(text) for name, text in _texts(self._rules.dialect).items()}

    # Entering -------------------------------------------------------------------------------------------------------------

    def enqueue(
        self,
        run: Run,
        event: NewEvent,
        *,
        priority: int,
        pools: Mapping[str, int] | None,
        is_stored: bool,
        plan: Statement | None = None,
    ) -> None:
        """Make a run QUEUED, in one transaction; one that is not stored yet is stored in it.

        Args:
            event: RUN_ENQUEUED.
            plan: stores the run's plan, in the same transaction.
            priority, pools: see ``QueuedRun``.

        Raises:
            ConflictError: it is not NOT_STARTED, or its id is another run's.
        """
        creation = [] if is_stored else self._journal.creation(run)
        t = self._rules.as_service(run.run_id)
        self._rules.status(t, event, unclaimed=True)
        t.then(self._sql["enter"], rank=-priority, pools=None if pools is None else json.dumps(dict(pools)))
        plans = [plan] if plan is not None else []
        outcomes = self._database.transact([*creation, *t.close(), *plans])
        if creation:
            self._journal.check_created(run, outcomes)
        if outcomes[len(creation) + t.guards[0]].matched == 0 and not self._journal.is_stored(run.run_id, event):
            status = self._journal.head(run.run_id).status
            raise ConflictError(
                f"a run that is {status} can not be enqueued",
                where=f"run {run.run_id}",
                expected=RunStatus.NOT_STARTED.value,
            )

    # Looking --------------------------------------------------------------------------------------------------------------

    def waiting(
        self, limit: int, keys: Iterable[str] = (), *, parked: str | None = None, after: QueuedRun | None = None
    ) -> list[QueuedRun]:
        """Runs in the order in which they are to be taken.

        Args:
            keys: the tags that matter.
            parked: those that wait for this limit; None: those that were not looked at yet.
            after: go on behind this one.
        """
        params: dict[str, Any] = {"limit": limit}
        where = "q.parked IS NULL"
        if parked is not None:
            where, params["parked"] = "q.parked = :parked", parked
        return self._select(where, params, keys, after)

    def everyone(self, limit: int, keys: Iterable[str] = (), *, after: QueuedRun | None = None) -> list[QueuedRun]:
        """All that wait, looked at or not, in order."""
        return self._select("true", {"limit": limit}, keys, after)

    def _select(
        self, where: str, params: dict[str, Any], keys: Iterable[str], after: QueuedRun | None
    ) -> list[QueuedRun]:
        if after is not None:
            where += " AND (q.rank, q.at, q.run_id) > (:rank, :at, :run)"
            params.update(rank=-after.priority, at=after.at, run=after.run_id)
        sql = f"SELECT q.run_id, q.rank, q.at, q.pools, q.parked FROM {{queue}} q WHERE {where} ORDER BY q.rank, q.at, q.run_id LIMIT :limit"
        rows = self._database.read(self._rules.named(sql), params)
        tags = self._tags([row[0] for row in rows], list(keys))
        return [
            QueuedRun(run_id, -rank, at, tags.get(run_id, {}), json.loads(pools) if pools else None, parked)
            for run_id, rank, at, pools, parked in rows
        ]

    def entry(self, run_id: str, keys: Iterable[str] = ()) -> QueuedRun | None:
        """One run that waits, or None."""
        found = self._select("q.run_id = :run", {"run": run_id, "limit": 1}, keys, None)
        return found[0] if found else None

    def ahead_of(self, entry: QueuedRun) -> int:
        """How many runs come before this one. Counts them: for people, not for each pick."""
        params = {"rank": -entry.priority, "at": entry.at, "run": entry.run_id}
        return int(self._database.read(self._sql["ahead"], params)[0][0])

    def depth(self) -> Depth:
        """How much waits. Counts: for people and metrics."""
        count, oldest = self._database.read(self._sql["depth"], {})[0]
        return Depth(int(count), oldest)

    def active(self, keys: Iterable[str] = ()) -> ActiveRuns:
        """What counts against the limits now.

        Args:
            keys: tags to count by.
        """
        count = int(self._database.read(self._sql["active"], {})[0][0])
        names = [[key] for key in keys]
        rows = self._database.read(self._sql["active_by_tag"], {"keys": json.dumps(names)}) if names and count else []
        return ActiveRuns(count, {(key, value): int(n) for key, value, n in rows})

    def yet_to_begin(self, run_ids: Iterable[str]) -> list[str]:
        """Of runs that were taken, those that are under way and have not issued a step."""
        ids = json.dumps([[run_id] for run_id in run_ids])
        return [row[0] for row in self._database.read(self._sql["yet_to_begin"], {"ids": ids})]

    # What the holder of the queue's lease does ----------------------------------------------------------------------------

    def dequeue(self, lease: Lease, run_ids: Sequence[str], room: Room, event: NewEvent) -> Mapping[str, float]:
        """Move runs from QUEUED to STARTING and have them launched: see ``Launches``.

        Args:
            run_ids: at most ``TAKEN_AT_ONCE``.
            room: what was taken for granted.
            event: RUN_STARTING, stored for each of them.

        Returns:
            Those that were taken, and when that was by the database's clock. One that was canceled meanwhile is not among them; none is when there is less room.

        Raises:
            FencedError: another process holds the lease.
        """
        ids = json.dumps([[run_id] for run_id in sorted(run_ids)])
        tagged = [[key, value, 0 if value is None else 1, most] for key, value, most in room.tagged_at_most]
        mark = new_mark()
        common = {"ids": ids, "mark": mark}
        most = -1 if room.active_at_most is None else room.active_at_most
        body = json.dumps(event.body, separators=(",", ":"))
        take = self._sql["take_tagged" if tagged else "take"]
        params = {
            **common,
            "active_at_most": most,
            **lease.params,
            **({"tagged": json.dumps(tagged)} if tagged else {}),
        }
        steps = [Statement(take, params)]
        stored = {**common, "kind": EventKind.RUN_STARTING.value, "written_at": event.written_at, "body": body}
        steps.append(Statement(self._sql["events"], stored))
        steps.append(Statement(self._sql["feed"], {**common, "kind": stored["kind"], "body": body}))
        if self._rules.dialect.numbers_feed:
            steps.append(Statement(self._sql["feed_numbered"], common))
        steps += [Statement(self._sql[name], common) for name in ("launch", "leave")]
        steps.append(Statement(self._sql["news"], {**common, "run": ""}))
        steps.append(Statement(self._sql["close"], common))
        outcomes = self._database.transact(
            [locking(self._rules, lease), Statement(self._sql["lock_heads"], {"ids": ids}), *steps]
        )
        if outcomes[0].matched == 0:
            raise fenced(lease)
        return {run_id: float(at) for run_id, at in outcomes[2].rows}

    def park(self, lease: Lease, limits: Mapping[str, str | None]) -> None:
        """Put runs aside until the limit that they wait for has room again; None: they are to be looked at again.

        Raises:
            FencedError: another process holds the lease.
        """
        rows = json.dumps([[run_id, limit] for run_id, limit in sorted(limits.items())])
        self._as_holder(lease, Statement(self._sql["park"], {"rows": rows, **lease.params}))

    def look_at_all_again(self, lease: Lease) -> None:
        """Forget what was put aside: the limits may be others now.

        Raises:
            FencedError: another process holds the lease.
        """
        self._as_holder(lease, Statement(self._sql["unpark"], lease.params))

    def _as_holder(self, lease: Lease, statement: Statement) -> None:
        if self._database.transact([locking(self._rules, lease), statement])[0].matched == 0:
            raise fenced(lease)

    def _tags(self, run_ids: Sequence[str], keys: Sequence[str]) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        if run_ids and keys:
            params = {"ids": json.dumps([[i] for i in run_ids]), "keys": json.dumps([[k] for k in keys])}
            for run_id, key, value in self._database.read(self._sql["tags"], params):
                found.setdefault(run_id, {})[key] = value
        return found


def _texts(d: Dialect) -> dict[str, str]:
    """The statements, table names still in braces."""
    ids, keys = d.rows("ids", [("name", "text")]), d.rows("keys", [("name", "text")])
    named = f"(SELECT v.name FROM {ids} v)"
    mine = f"h.run_id IN {named} AND h.mark = :mark"
    active = f"(SELECT count(*) FROM {{run_head}} h WHERE h.status IN {_ACTIVE})"
    tagged = d.rows("tagged", [("key", "text"), ("value", "text"), ("has_value", "int"), ("most", "int")])
    # Materialized: the few active runs come first, not the many old ones that have the same tag.
    with_active = f"WITH a AS MATERIALIZED (SELECT h.run_id FROM {{run_head}} h WHERE h.status IN {_ACTIVE})"
    too_many = (
        f"EXISTS ({with_active} SELECT 1 FROM {tagged} v WHERE (SELECT count(*) FROM a JOIN {{run_tag}} t ON t.run_id = a.run_id"
        " AND t.key = v.key WHERE v.has_value = 0 OR t.value = v.value) > v.most)"
    )
    take = (
        f"UPDATE {{run_head}} SET status = 'STARTING', head = head + 1, mark = :mark, clock = {d.greatest}(clock, {d.now})"
        f" WHERE run_id IN {named} AND status = 'QUEUED' AND intent = 'none' AND epoch = 0 AND {HELD}"
        f" AND (:active_at_most < 0 OR {active} <= :active_at_most)"
    )
    number = ", number" if d.numbers_feed else ""
    numbers = ", (SELECT f.last FROM {feed_head} f) + row_number() OVER (ORDER BY h.run_id)" if d.numbers_feed else ""
    parks = d.rows("rows", [("name", "text"), ("parked", "text")])
    return {
        "enter": "INSERT INTO {queue} (run_id, rank, at, pools) SELECT h.run_id, :rank, h.clock, :pools FROM {run_head} h"
        " WHERE h.run_id = :run AND h.mark = :mark",
        "ahead": "SELECT count(*) FROM {queue} q WHERE (q.rank, q.at, q.run_id) < (:rank, :at, :run)",
        "depth": "SELECT count(*), min(q.at) FROM {queue} q",
        "active": f"SELECT {active}",
        "active_by_tag": f"{with_active} SELECT t.key, t.value, count(*) FROM a JOIN {{run_tag}} t ON t.run_id = a.run_id"
        f" WHERE t.key IN (SELECT v.name FROM {keys} v) GROUP BY t.key, t.value",
        "yet_to_begin": f"SELECT h.run_id FROM {{run_head}} h WHERE h.run_id IN {named} AND h.status IN {_ACTIVE}"
        " AND NOT EXISTS (SELECT 1 FROM {attempt} a WHERE a.run_id = h.run_id)",
        "tags": f"SELECT t.run_id, t.key, t.value FROM {{run_tag}} t WHERE t.run_id IN {named}"
        f" AND t.key IN (SELECT v.name FROM {keys} v)",
        "lock_heads": f"SELECT h.run_id FROM {{run_head}} h WHERE h.run_id IN {named} ORDER BY h.run_id{d.lock_rows}",
        "take": take + " RETURNING run_id, clock",
        "take_tagged": take + f" AND NOT {too_many} RETURNING run_id, clock",
        "events": "INSERT INTO {event} (day, run_id, seq, kind, version, at, written_at, body)"
        f" SELECT h.day, h.run_id, h.head, :kind, 1, h.clock, :written_at, :body FROM {{run_head}} h WHERE {mine}",
        "feed": f"INSERT INTO {{feed}} (run_id, seq, kind, at, body{number}) SELECT h.run_id, h.head, :kind, h.clock, :body{numbers}"
        f" FROM {{run_head}} h WHERE {mine}",
        "feed_numbered": f"UPDATE {{feed_head}} SET last = last + (SELECT count(*) FROM {{run_head}} h WHERE {mine})",
        "launch": f"INSERT INTO {{launch}} (run_id, at) SELECT h.run_id, h.clock FROM {{run_head}} h WHERE {mine}",
        "leave": f"DELETE FROM {{queue}} WHERE run_id IN (SELECT h.run_id FROM {{run_head}} h WHERE {mine})",
        "news": f"SELECT {d.notify} FROM (SELECT 1 FROM {{run_head}} h WHERE {mine} LIMIT 1) x",
        # Sent again after a lost reply, the transaction finds no row with its mark.
        "close": f"UPDATE {{run_head}} SET mark = mark + 1 WHERE run_id IN {named} AND mark = :mark",
        "park": f"UPDATE {{queue}} SET parked = v.parked FROM {parks} v WHERE {{queue}}.run_id = v.name AND {HELD}",
        "unpark": f"UPDATE {{queue}} SET parked = NULL WHERE parked IS NOT NULL AND {HELD}",
    }
