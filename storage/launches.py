"""Launches that are under way: a run that left the queue and whose worker is not known to be there yet.

A row is made by the transaction that takes the run from the queue, and goes when its worker's handle is stored or its launch failed.
Whichever daemon has a free hand takes it. One whose daemon is gone is free again: it may have been launched or not, and launching it once
more does no harm, since of two workers only one can claim the run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..events.status import RunStatus
from .database import Database
from .dialect import Dialect, Statement
from .rules import Rules


class TakenLaunch(NamedTuple):
    """A launch that is this daemon's to make.

    Attributes:
        tries: how often it was taken, this time included.
        status, epoch: of the run, as read after it was taken; only a run that is STARTING is to be launched.
    """

    run_id: str
    tries: int
    status: RunStatus
    epoch: int


class LaunchesDone(NamedTuple):
    """What is known of launches that are done with.

    Attributes:
        canceled: those that were canceled meanwhile: nobody but the caller tells their workers to end.
        took_s: of each, how long ago it left the queue, by the database's clock, in seconds.
    """

    canceled: Sequence[str]
    took_s: Mapping[str, float]


class Launches:
    """The launches of one database, for one daemon.

    Args:
        daemon_id: whose.
    """

    def __init__(self, database: Database, daemon_id: str) -> None:
        self._database = database
        rules = Rules(database.dialect)
        self._sql = {name: rules.named(text) for name, text in _texts(rules.dialect).items()}
        self._daemon = {"daemon": daemon_id}

    def take(self, most: int) -> list[TakenLaunch]:
        """Take up to `most` that are nobody's. Returns all that are this daemon's, those of earlier calls too (a lost reply costs none)."""
        take = Statement(self._sql["take"], {**self._daemon, "most": most})
        outcomes = self._database.transact([take, Statement(self._sql["mine"], self._daemon)])
        return [TakenLaunch(run, tries, RunStatus(status), epoch) for run, tries, status, epoch in outcomes[1].rows]

    def is_mine(self, run_id: str) -> bool:
        """Whether the launch is still to be made, and by this daemon: one that was frozen may have been replaced."""
        return bool(self._database.read(self._sql["is_mine"], {**self._daemon, "run": run_id}))

    def done(self, handles: Mapping[str, Mapping[str, Any] | None]) -> LaunchesDone:
        """Store where workers are; None for a launch that was not made. All of them are done with."""
        rows = [
            [run_id, json.dumps(handle) if handle is not None else None] for run_id, handle in sorted(handles.items())
        ]
        params = {**self._daemon, "rows": json.dumps(rows)}
        steps = [Statement(self._sql[name], params) for name in ("lock", "handles", "forget", "canceled")]
        *_, forgotten, canceled = self._database.transact(steps)
        return LaunchesDone([row[0] for row in canceled.rows], {run_id: float(s) for run_id, s in forgotten.rows})

    def waiting(self) -> bool:
        """Whether one is nobody's."""
        return bool(self._database.read(self._sql["waiting"], {}))

    def holders(self) -> Sequence[str]:
        """The daemons that have taken some."""
        return [row[0] for row in self._database.read(self._sql["holders"], {})]

    def set_free(self, daemon_id: str) -> int:
        """Let others take what a daemon had that is gone; how many there were."""
        return self._database.transact([Statement(self._sql["set_free"], {"daemon": daemon_id})])[0].matched


def _texts(d: Dialect) -> dict[str, str]:
    rows = d.rows("rows", [("name", "text"), ("handle", "text")])
    skip = d.lock_rows + " SKIP LOCKED" if d.lock_rows else ""
    mine = f"(SELECT l.run_id FROM {{launch}} l WHERE l.daemon = :daemon AND l.run_id IN (SELECT v.name FROM {rows} v))"
    return {
        "take": "UPDATE {launch} SET daemon = :daemon, tries = tries + 1 WHERE run_id IN (SELECT l.run_id FROM {launch} l"
        f" WHERE l.daemon IS NULL ORDER BY l.at LIMIT :most{skip})",
        "mine": "SELECT l.run_id, l.tries, h.status, h.epoch FROM {launch} l JOIN {run_head} h ON h.run_id = l.run_id"
        " WHERE l.daemon = :daemon ORDER BY l.at, l.run_id",
        "is_mine": "SELECT 1 FROM {launch} l JOIN {run_head} h ON h.run_id = l.run_id"
        " WHERE l.daemon = :daemon AND l.run_id = :run AND h.status = 'STARTING' AND h.epoch = 0",
        "lock": f"SELECT l.run_id FROM {{launch}} l WHERE l.run_id IN {mine} ORDER BY l.run_id{d.lock_rows}",
        "handles": f"UPDATE {{run}} SET handle = v.handle FROM {rows} v WHERE {{run}}.run_id = v.name AND v.handle IS NOT NULL"
        f" AND {{run}}.run_id IN {mine}",
        "forget": f"DELETE FROM {{launch}} WHERE run_id IN {mine} RETURNING run_id, {d.now} - at",
        "canceled": f"SELECT h.run_id FROM {{run_head}} h WHERE h.run_id IN (SELECT v.name FROM {rows} v)"
        " AND (h.status = 'CANCELED' OR (h.status = 'CANCELING' AND h.epoch = 0))",
        "waiting": "SELECT 1 FROM {launch} l WHERE l.daemon IS NULL LIMIT 1",
        "holders": "SELECT DISTINCT l.daemon FROM {launch} l WHERE l.daemon IS NOT NULL",
        "set_free": "UPDATE {launch} SET daemon = NULL WHERE daemon = :daemon",
    }
