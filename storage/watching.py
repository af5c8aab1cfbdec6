"""Reading the runs that somebody has to watch over: hot rows of all that are not over and not queued, and how long ago things were."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..events.kinds import EventKind
from ..events.status import RunStatus
from .contract import Head, Owner
from .database import Database
from .dialect import Statement
from .rules import Rules

RESUMING = "Launching a new run worker to resume run"
"""The message by which launches of further workers are counted, as in Dagster."""


class WatchedRuns:
    """The runs of one database that are under way."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rules = Rules(database.dialect)

    def heads(self) -> list[Head]:
        """Those that are NOT_STARTED, STARTING, STARTED or CANCELING."""
        text = (
            "SELECT h.run_id, h.status, h.intent, h.epoch, h.head, h.beat, h.resumes, h.owner, h.level FROM {run_head} h"
            " WHERE h.status IN ('NOT_STARTED', 'STARTING', 'STARTED', 'CANCELING') ORDER BY h.run_id"
        )
        return [
            Head(run, RunStatus(status), intent, epoch, head, beat, resumes, _owner(owner), level)
            for run, status, intent, epoch, head, beat, resumes, owner, level in self._read(text, {})
        ]

    def seconds_since(self, run_id: str, kind: EventKind) -> float | None:
        """How long ago the run's newest event of this kind was stored, by the database's clock; None when there is none."""
        text = (
            "SELECT " + self._rules.dialect.now + " - e.at FROM {event} e WHERE e.run_id = :run AND e.kind = :kind"
            " AND e.day = (SELECT h.day FROM {run_head} h WHERE h.run_id = :run) ORDER BY e.seq DESC LIMIT 1"
        )
        rows = self._read(text, {"run": run_id, "kind": kind.value})
        return float(rows[0][0]) if rows else None

    def workers_launched_again(self, run_id: str) -> int:
        """How often a further worker was started for the run."""
        text = (
            "SELECT count(*) FROM {event} e WHERE e.run_id = :run AND e.kind = 'ENGINE_EVENT' AND e.body LIKE :message"
            " AND e.day = (SELECT h.day FROM {run_head} h WHERE h.run_id = :run)"
        )
        return int(self._read(text, {"run": run_id, "message": f"%{RESUMING}%"})[0][0])

    def free_slots_of_ended_runs(self, after_s: float) -> int:
        """Free the slots of runs that ended so long ago; how many there were. (An attempt's end frees its slots, so there should be
        none.)"""
        ended = (
            "(SELECT s.run_id FROM {slot} s JOIN {run} r ON r.run_id = s.run_id JOIN {run_head} h ON h.run_id = s.run_id"
            " WHERE h.status IN ('SUCCESS', 'FAILURE', 'CANCELED') AND r.ended_at < "
            + self._rules.dialect.now
            + " - :after)"
        )
        lock = self._rules.dialect.lock_rows
        texts = (
            "SELECT p.name FROM {pool} p WHERE p.name IN (SELECT s.pool FROM {slot} s) ORDER BY p.name" + lock,
            f"UPDATE {{pool}} SET used = used - (SELECT count(*) FROM {{slot}} s WHERE s.pool = {{pool}}.name AND s.run_id IN {ended})",
            f"DELETE FROM {{slot}} WHERE run_id IN {ended}",
        )
        statements = [Statement(self._rules.named(text), {"after": float(after_s)}) for text in texts[1:]]
        return self._database.transact([Statement(self._rules.named(texts[0]), {}), *statements])[-1].matched

    def _read(self, text: str, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        return self._database.read(self._rules.named(text), params)


def _owner(text: str | None) -> Owner | None:
    return Owner(**json.loads(text)) if text else None
