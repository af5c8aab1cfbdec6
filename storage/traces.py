"""Runs whose traces are to be sent: marked by a tag when they are submitted, unmarked when it was done."""

from __future__ import annotations

from ..events.trace_context import PENDING_TAG
from .database import Database
from .dialect import Statement
from .rules import Rules


class PendingTraces:
    """The traces of one database that nobody has sent yet."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rules = Rules(database.dialect)

    def ended(self, limit: int) -> list[str]:
        """Runs that are over."""
        text = (
            "SELECT t.run_id FROM {run_tag} t JOIN {run_head} h ON h.run_id = t.run_id WHERE t.key = :key"
            " AND h.status IN ('SUCCESS', 'FAILURE', 'CANCELED') ORDER BY t.run_id LIMIT :limit"
        )
        rows = self._database.read(self._rules.named(text), {"key": PENDING_TAG, "limit": limit})
        return [row[0] for row in rows]

    def sent(self, run_id: str) -> None:
        """The trace of this run was sent."""
        text = self._rules.named("DELETE FROM {run_tag} WHERE run_id = :run AND key = :key")
        self._database.transact([Statement(text, {"run": run_id, "key": PENDING_TAG})])
