"""Values of outputs that the database keeps, for runs whose processes share no folder.

A value is stored before the event that announces it, in a transaction of its own: while its bytes travel nobody holds the run's row.
Only the attempt that owns the nonce stores one, under its own number, and what is read is named by the event of an attempt that
succeeded: the value of an attempt that was sealed is there and read by nobody. All of it goes with its run.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..engine.snapshot import IN_DATABASE, StoredOutput
from ..events.event import NewEvent
from .contract import AttemptRef
from .database import Database
from .dialect import Statement
from .rules import Rules


class OutputValues:
    """The values in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        rules = Rules(database.dialect)
        columns = "run_id, step, n, output, mapping_key, asset_key, at, body"
        self._put = rules.named(
            f"INSERT INTO {{output_value}} ({columns}) SELECT a.run_id, a.step, a.n, :output, :mapping_key, :asset_key,"
            f" {database.dialect.now}, :body FROM {{attempt}} a WHERE a.run_id = :run AND a.step = :step AND a.n = :n"
            " AND a.nonce = :nonce AND a.state = 'running'"
            " ON CONFLICT (run_id, step, n, output, mapping_key) DO NOTHING"
        )
        value = "SELECT v.body FROM {output_value} v JOIN {attempt} a ON a.run_id = v.run_id AND a.step = v.step AND a.n = v.n"
        self._get = rules.named(
            f"{value} WHERE v.run_id = :run AND v.step = :step AND v.n = :n AND v.output = :output"
            " AND v.mapping_key = :mapping_key AND (:early = 1 OR a.outcome = 'STEP_SUCCESS')"
        )
        self._of_asset = rules.named(
            f"{value} WHERE v.asset_key = :asset_key AND a.outcome = 'STEP_SUCCESS' ORDER BY v.at DESC, v.run_id DESC LIMIT 1"
        )

    def put(self, run_id: str, ref: AttemptRef, nonce: str | None, events: Sequence[NewEvent]) -> None:
        """Store what the events of an attempt bring with them. Nothing happens when it has no right to write any more: its events, which
        come next, are refused then."""
        brought = [event for event in events if event.value is not None]
        if not brought:
            return
        of_attempt = {"run": run_id, "step": ref.step, "n": ref.n, "nonce": nonce}
        self._database.transact(
            [
                Statement(
                    self._put,
                    {
                        **of_attempt,
                        "output": event.body["output"],
                        "mapping_key": event.body.get("mapping_key") or "",
                        "asset_key": (event.body.get("location") or {}).get("asset_key"),
                        "body": event.value,
                    },
                )
                for event in brought
            ]
        )

    def get(self, wanted: Sequence[StoredOutput], *, early: bool = False) -> list[bytes | None]:
        """The values of outputs, in one round trip; None for one that is not there.

        Args:
            wanted: outputs whose location says that they are kept here.
            early: those of attempts without an outcome too: for runs whose steps start as soon as what they need exists.
        """
        if not wanted:
            return []
        outcomes = self._database.transact(
            [
                Statement(
                    self._get,
                    {
                        "run": one.run_id,
                        "step": one.step,
                        "n": (one.location or {})[IN_DATABASE],
                        "output": one.output,
                        "mapping_key": one.mapping_key or "",
                        "early": int(early),
                    },
                )
                for one in wanted
            ]
        )
        return [bytes(outcome.rows[0][0]) if outcome.rows else None for outcome in outcomes]

    def of_asset(self, asset_key: str) -> bytes | None:
        """The newest value of an asset, whichever run made it; None when no run that is there did.

        Args:
            asset_key: as text.
        """
        rows = self._database.read(self._of_asset, {"asset_key": asset_key})
        return bytes(rows[0][0]) if rows else None


def is_kept_here(output: StoredOutput) -> bool:
    """Whether the database keeps the value of an output."""
    return IN_DATABASE in (output.location or {})
