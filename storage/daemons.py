"""Which daemons there are: a row each, with a beat that others observe and what its loops say of themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..serdes.record import record
from .contract import Owner
from .database import Database
from .dialect import Statement
from .rules import Rules


@record
class DaemonRow:
    """A daemon as stored.

    Attributes:
        daemon_id: its process's worker id. owner: the process.
        beat: raised by the daemon; others compare two reads of it, never a clock.
        age_s: seconds since the newest beat by the database's clock; for people.
        body: how its loops are.
    """

    daemon_id: str
    owner: Owner
    beat: int
    age_s: float
    body: Mapping[str, Any]


class Daemons:
    """The daemons of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        rules = Rules(database.dialect)
        now = database.dialect.now
        self._beat = rules.named(
            f"INSERT INTO {{daemon}} (daemon_id, owner, beat, at, body) VALUES (:id, :owner, 1, {now}, :body)"
            f" ON CONFLICT (daemon_id) DO UPDATE SET beat = {{daemon}}.beat + 1, at = {now}, body = excluded.body"
        )
        self._forget = rules.named("DELETE FROM {daemon} WHERE daemon_id = :id")
        self._all = rules.named(f"SELECT daemon_id, owner, beat, {now} - at, body FROM {{daemon}} ORDER BY daemon_id")

    def beat(self, owner: Owner, body: Mapping[str, Any]) -> None:
        """Say that this daemon is alive, and how its loops are."""
        params = {"id": owner.worker_id, "owner": json.dumps(owner.to_body()), "body": json.dumps(body)}
        self._database.transact([Statement(self._beat, params)])

    def forget(self, daemon_id: str) -> None:
        """Remove a daemon that ended."""
        self._database.transact([Statement(self._forget, {"id": daemon_id})])

    def all(self) -> list[DaemonRow]:
        """Every daemon that has not been removed."""
        return [
            DaemonRow(daemon_id, Owner(**json.loads(owner)), int(beat), float(age), json.loads(body))
            for daemon_id, owner, beat, age, body in self._database.read(self._all, {})
        ]
