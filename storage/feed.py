"""The log that is read across runs: statuses, assets. Its numbers grow by one for every reader alike.

A number given at insertion would not do: of two transactions the one that took the smaller number may commit later, and a reader who
has seen the larger one never comes back for it. So the numbers are given afterwards, in one place: SQLite's only writer numbers its
own rows; on Postgres whoever reads first numbers what has been committed, under the lock of ``feed_head``'s row.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

from ..errors import DocumentError
from .contract import FeedItem
from .database import Database
from .dialect import Statement
from .rules import Rules

NUMBERED_AT_ONCE = 10_000


class Feed:
    """Reading the feed of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rules = Rules(database.dialect)

    def end(self) -> str:
        """A cursor behind all that is there: reading from it gives what comes from now on."""
        self._number()
        return _write_cursor(self._database.read(self._rules.named("SELECT last FROM {feed_head}"), {})[0][0])

    def read(
        self, cursor: str | None = None, *, kinds: Sequence[str] | None = None, limit: int = 1000
    ) -> tuple[list[FeedItem], str]:
        """Items behind `cursor` in the order of their numbers, and the cursor to go on with.

        Args:
            cursor: opaque, from an earlier call; None: from the beginning.
            kinds: event kinds to take; None: all.
            limit: how many items at most.

        Raises:
            DocumentError: the cursor is not one of ours.
        """
        after = _read_cursor(cursor) if cursor is not None else 0
        self._number()
        params: dict[str, object] = {"after": after, "limit": limit}
        of_kind = ""
        if kinds is not None:
            of_kind = f" AND f.kind IN (SELECT v.name FROM {self._rules.dialect.rows('kinds', [('name', 'text')])} v)"
            params["kinds"] = json.dumps([[str(k)] for k in kinds])
        # One statement, one snapshot: `last` is the newest number whose row this statement sees.
        rows = self._database.read(
            self._rules.named(
                "SELECT h.last, f.number, f.run_id, f.seq, f.kind, f.at, f.body FROM {feed_head} h LEFT JOIN {feed} f"
                f" ON f.number > :after{of_kind} ORDER BY f.number LIMIT :limit"
            ),
            params,
        )
        items = [
            FeedItem(number, run, seq, kind, at, json.loads(body))
            for _, number, run, seq, kind, at, body in rows
            if number
        ]
        upto = items[-1].number if len(items) >= limit else max(after, rows[0][0])
        return items, _write_cursor(upto)

    def _number(self) -> None:
        """Give numbers to what has been committed without one."""
        if self._database.dialect.numbers_feed:
            return
        while self._database.read(self._named("SELECT 1 FROM {feed} WHERE number IS NULL LIMIT 1"), {}):
            # The lock is a statement of its own: what follows it sees all that earlier sequencers did.
            self._database.transact(
                [
                    Statement(self._named("SELECT last FROM {feed_head} FOR UPDATE"), {}),
                    Statement(
                        self._named(
                            "UPDATE {feed} SET number = x.number FROM (SELECT f.id, h.last + row_number() OVER (ORDER BY f.id) AS number"
                            " FROM (SELECT id FROM {feed} WHERE number IS NULL ORDER BY id LIMIT :limit) f CROSS JOIN {feed_head} h) x"
                            " WHERE {feed}.id = x.id"
                        ),
                        {"limit": NUMBERED_AT_ONCE},
                    ),
                    Statement(
                        self._named(
                            "UPDATE {feed_head} SET last = greatest(last, (SELECT coalesce(max(f.number), 0) FROM {feed} f))"
                        ),
                        {},
                    ),
                ]
            )

    def _named(self, text: str) -> str:
        return self._rules.named(text)


def _write_cursor(number: int) -> str:
    return base64.urlsafe_b64encode(json.dumps(["feed", number]).encode()).decode()


def _read_cursor(text: str) -> int:
    try:
        name, number = json.loads(base64.urlsafe_b64decode(text.encode()))
    except (ValueError, TypeError) as e:
        raise DocumentError("not a cursor of the feed", got=text[:60]) from e
    if name != "feed" or not isinstance(number, int):
        raise DocumentError("not a cursor of the feed", got=text[:60])
    return number
