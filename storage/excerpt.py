"""Parts of a run's log: the events of some kinds, or the newest ones, without reading the rest."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from ..events.event import Event
from .database import Database
from .rules import Rules

PAGE = 5000


class Excerpt:
    """Reads parts of the logs of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rules = Rules(database.dialect)

    def of_kinds(self, run_id: str, kinds: Sequence[str], limit: int | None = None) -> Iterator[Event]:
        """The events of these kinds, in order, read in pages.

        Args:
            limit: so many of them, the first; None: all.
        """
        names = self._rules.dialect.rows("kinds", [("name", "text")])
        where = f" AND kind IN (SELECT v.name FROM {names} v)"
        after, left = 0, limit
        while page := self._read(
            run_id, where, after, min(PAGE, left or PAGE), {"kinds": json.dumps([[k] for k in kinds])}
        ):
            yield from page
            after = page[-1].seq
            if left is not None:
                left -= len(page)
                if left <= 0:
                    return

    def newest(self, run_id: str, limit: int) -> list[Event]:
        """The newest events, in order."""
        head = self._database.read(
            self._rules.named("SELECT head FROM {run_head} WHERE run_id = :run"), {"run": run_id}
        )
        return self._read(run_id, "", max(0, int(head[0][0]) - limit), limit, {}) if head else []

    def _read(self, run_id: str, where: str, after: int, limit: int, more: dict[str, Any]) -> list[Event]:
        rows = self._database.read(
            self._rules.named(
                "SELECT seq, kind, step, n, body, written_at, at, version FROM {event}"
                " WHERE day = (SELECT h.day FROM {run_head} h WHERE h.run_id = :run) AND run_id = :run AND seq > :after"
                f"{where} ORDER BY seq LIMIT :limit"
            ),
            {"run": run_id, "after": after, "limit": limit, **more},
        )
        return [Event(run_id, s, k, step, n, json.loads(b), w, at, v) for s, k, step, n, b, w, at, v in rows]
