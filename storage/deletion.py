"""Deleting runs: a run goes from sight in one transaction, which also notes what is still to be erased of it.

What a run leaves behind (events, outputs, logs) can be large and lies in several places, so it can not go in one transaction. The
note is a row of ``request``: whoever deletes next, after a ``kill -9`` in the middle, finds it and goes on. A run is therefore there
with everything, or not there. Events go in pieces, so that a writer beside it waits for one piece at most.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

from ..errors import NotFoundError
from ..events.status import ACTIVE, FINAL, RunStatus
from ..serdes.record import record
from .contract import DELETION, deletion_id
from .database import Database
from .dialect import Outcome, Statement
from .rules import Rules

ROWS_AT_ONCE = 2000
"""Rows that one transaction erases: some 10 ms on a slow disk."""
VALUES_AT_ONCE = 20
"""Steps whose values one transaction erases; they can be large."""
NOTES_AT_ONCE = 100
PLANS_AT_ONCE = 200
UNUSED_S = 86400.0
"""A plan that no run has is kept so long after its last use: a run that was compiled may be stored with it at any moment."""
DELETABLE = (*sorted(FINAL), RunStatus.NOT_STARTED)
LIVE = (*sorted(ACTIVE), RunStatus.QUEUED, RunStatus.NOT_STARTED)
"""A run at one of these may still load what another run of its group produced."""


@record
class Kept:
    """A run that was not deleted.

    Attributes:
        status: where it stands.
        needed_by: a live run of its group, which may load its outputs; None when it is live itself.
    """

    run_id: str
    status: RunStatus
    needed_by: str | None

    def __str__(self) -> str:
        if self.needed_by is None:
            return f"the run is {self.status}"
        return f"run {self.needed_by} of its group is not over and may need its outputs"


@record
class Remains:
    """What is left of a run that is not there any more: number of its newest event, and the day of its creation."""

    run_id: str
    day: int
    head: int


class Deletions:
    """Deletes runs of one database. Several processes may do so at once, and beside everything else."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rules = Rules(database.dialect)

    def take_out(self, run_id: str) -> Kept | None:
        """Take a run out of sight and note what is to be erased; None when that is done. `erase` does the rest.

        Raises:
            NotFoundError: there is no such run.
        """
        params = {"run": run_id, "note": deletion_id(run_id)}
        body = "'{\"day\": ' || h.day || ', \"head\": ' || h.head || '}'"
        statements: list[tuple[str, dict[str, Any]]] = [
            # The lock is a statement of its own: what follows it sees what whoever held it did.
            ("SELECT h.status FROM {run_head} h WHERE h.run_id = :run" + self._rules.dialect.lock_rows, {}),
            (
                (
                    f"INSERT INTO {{request}} (request_id, run_id, kind, at, body) SELECT :note, h.run_id, :kind, :at, {body}"
                    f" FROM {{run_head}} h WHERE h.run_id = :run AND h.status IN {_listed(DELETABLE)}"
                    f" AND NOT EXISTS ({_LIVE_RELATIVE}) ON CONFLICT (request_id) DO NOTHING"
                ),
                {"kind": DELETION, "at": time.time()},
            ),
            # With it go its head and its tags.
            (
                "DELETE FROM {run} WHERE run_id = :run AND EXISTS (SELECT 1 FROM {request} q WHERE q.request_id = :note)",
                {},
            ),
        ]
        outcomes = self._transact([(text, {**params, **more}) for text, more in statements])
        if outcomes[2].matched:
            return None
        if not outcomes[0].rows:
            raise NotFoundError(f"no run {run_id} is stored")
        relatives = self._database.read(self._rules.named(_LIVE_RELATIVE), {"run": run_id})
        return Kept(run_id, RunStatus(outcomes[0].rows[0][0]), relatives[0][0] if relatives else None)

    def remains(self, run_id: str | None = None) -> list[Remains]:
        """Runs that were taken out of sight and are not erased yet, oldest note first, at most ``NOTES_AT_ONCE``.

        Args:
            run_id: this one only.
        """
        this = "" if run_id is None else " AND q.request_id = :note"
        rows = self._database.read(
            self._rules.named(
                f"SELECT q.run_id, q.body FROM {{request}} q WHERE q.kind = :kind{this} ORDER BY q.at, q.run_id LIMIT :limit"
            ),
            {"kind": DELETION, "limit": NOTES_AT_ONCE, **({} if run_id is None else {"note": deletion_id(run_id)})},
        )
        return [Remains(run_id, **json.loads(body)) for run_id, body in rows]

    def locations(self, left: Remains) -> Iterator[dict[str, Any]]:
        """Where the outputs of a run are kept, as its events say. Read in pieces; before they are erased."""
        for above in range(0, left.head, ROWS_AT_ONCE):
            rows = self._database.read(
                self._rules.named(
                    "SELECT body FROM {event} WHERE day = :day AND run_id = :run AND seq > :above AND seq <= :upto"
                    " AND kind = 'STEP_OUTPUT' ORDER BY seq"
                ),
                {"day": left.day, "run": left.run_id, "above": above, "upto": above + ROWS_AT_ONCE},
            )
            for (text,) in rows:
                location = json.loads(text).get("location")
                if location:
                    yield location

    def erase(self, left: Remains) -> None:
        """Erase what the database still has of a run, and last the note. Does nothing twice."""
        of_run = {"run": left.run_id}
        for above in range(0, left.head, ROWS_AT_ONCE):
            self._transact(
                [
                    (
                        "DELETE FROM {event} WHERE day = :day AND run_id = :run AND seq <= :upto",
                        {**of_run, "day": left.day, "upto": above + ROWS_AT_ONCE},
                    )
                ]
            )
        for table, at_once in (("output_value", VALUES_AT_ONCE), ("attempt", ROWS_AT_ONCE)):
            some_steps = (
                f"step IN (SELECT a.step FROM {{{table}}} a WHERE a.run_id = :run ORDER BY a.step LIMIT :limit)"
            )
            text = f"DELETE FROM {{{table}}} WHERE run_id = :run AND {some_steps}"
            while self._transact([(text, {**of_run, "limit": at_once})])[0].matched:
                pass
        self._transact(
            [
                (_OLD_EVENTS_OF_ASSETS, of_run),
                ("DELETE FROM {feed} WHERE run_id = :run", of_run),
                ("DELETE FROM {queued_step} WHERE run_id = :run", of_run),
                ("DELETE FROM {request} WHERE run_id = :run", of_run),
            ]
        )

    def erase_unused_plans(self, now: float) -> int:
        """Erase the plans that no run has any more and that were not used for ``UNUSED_S``; how many.

        Args:
            now: seconds since the epoch.
        """
        before = {"before": now - UNUSED_S}
        some = self._rules.named(f"SELECT p.plan_id FROM {{plan}} p WHERE {_UNUSED} LIMIT :limit")
        done = 0
        while found := self._database.read(some, {**before, "limit": PLANS_AT_ONCE}):
            these = {"plans": json.dumps([[plan] for (plan,) in found])}
            listed = f"plan_id IN (SELECT v.plan FROM {self._rules.dialect.rows('plans', [('plan', 'text')])} v)"
            is_gone = "NOT EXISTS (SELECT 1 FROM {plan} p WHERE p.plan_id = s.plan_id)"
            erased, _steps = self._transact(
                [
                    (f"DELETE FROM {{plan}} AS p WHERE p.{listed} AND {_UNUSED}", {**these, **before}),
                    (f"DELETE FROM {{plan_step}} AS s WHERE s.{listed} AND {is_gone}", these),
                ]
            )
            done += erased.matched
        return done

    def _transact(self, statements: Sequence[tuple[str, dict[str, Any]]]) -> list[Outcome]:
        return self._database.transact([Statement(self._rules.named(text), params) for text, params in statements])


def _listed(statuses: Sequence[RunStatus]) -> str:
    return "(" + ", ".join(f"'{status}'" for status in statuses) + ")"


# An asset outlives the run that made it, and so does the newest thing that is known of it.
_OLD_EVENTS_OF_ASSETS = (
    "DELETE FROM {asset_event} AS e WHERE e.run_id = :run AND EXISTS (SELECT 1 FROM {asset_event} n"
    " WHERE n.asset_key = e.asset_key AND n.kind = e.kind AND n.check_name = e.check_name"
    " AND (n.at, n.run_id, n.seq) > (e.at, e.run_id, e.seq))"
)
_UNUSED = "p.used_at < :before AND NOT EXISTS (SELECT 1 FROM {run} r WHERE r.plan_id = p.plan_id)"
_LIVE_RELATIVE = (
    "SELECT r.run_id FROM {run} r JOIN {run_head} o ON o.run_id = r.run_id WHERE r.root_run_id ="
    " (SELECT coalesce(t.root_run_id, t.run_id) FROM {run} t WHERE t.run_id = :run)"
    f" AND r.run_id <> :run AND o.status IN {_listed(LIVE)}"
)
