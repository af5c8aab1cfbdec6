"""What is known of assets across runs: which there are, and the newest event of each kind.

A row for each event of an asset is stored in the transaction that stores the event; rows are added and never changed, so runs that
make the same asset do not wait for each other. Source: https://docs.dagster.io/api/dagster/internals (DagsterInstance).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import DocumentError
from ..serdes.record import record
from .database import Database
from .rules import Rules

MATERIALIZED, OBSERVED, EVALUATED = "materialized", "observed", "evaluated"


@record
class AssetEvent:
    """One event of an asset.

    Attributes:
        asset_key: as text, ``a/b``.
        kind: ``materialized``, ``observed`` or ``evaluated``.
        check_name: of an evaluation, else empty.
        at: storage's time, seconds since the epoch.
        run_id, seq, step: where it is in its run's log. The run may have been deleted since.
        body: the event's body.
    """

    asset_key: str
    kind: str
    check_name: str
    at: float
    run_id: str
    seq: int
    step: str | None
    body: Mapping[str, Any]

    @property
    def timestamp(self) -> float:
        """As ``at``."""
        return self.at

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What was shown with it."""
        found: Mapping[str, Any] = self.body.get("metadata") or {}
        return found


@record
class AssetEventPage:
    """A page of events, newest first; `cursor` continues, None at the end."""

    events: tuple[AssetEvent, ...]
    cursor: str | None


_COLUMNS = "e.asset_key, e.kind, e.check_name, e.at, e.run_id, e.seq, e.step, e.body"


class Assets:
    """Reading what is known of assets from one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rules = Rules(database.dialect)

    def keys(self, *, prefix: str = "", after: str | None = None, limit: int = 1000) -> list[str]:
        """Keys of assets that some run made, saw or checked, sorted by their text.

        Takes time in proportion to the keys that are given, not to the events that are stored.

        Args:
            prefix: beginning of the keys' text (``raw/``).
            after: the last key of the page before.
            limit: how many at most.
        """
        # Each step of the recursion jumps over all events of one key.
        rows = self._read(
            "WITH RECURSIVE k(asset_key, n) AS ("
            " SELECT min(e.asset_key), 1 FROM {asset_event} e WHERE e.asset_key >= :prefix AND e.asset_key > :after"
            " UNION ALL SELECT (SELECT min(e.asset_key) FROM {asset_event} e WHERE e.asset_key > k.asset_key), k.n + 1"
            " FROM k WHERE substr(k.asset_key, 1, length(:prefix)) = :prefix AND k.n < :limit"
            ") SELECT asset_key FROM k WHERE asset_key IS NOT NULL ORDER BY n",
            {"prefix": prefix, "after": after or "", "limit": limit},
        )
        return [key for (key,) in rows if key.startswith(prefix)]

    def latest(self, asset_key: str, kind: str = MATERIALIZED, *, check_name: str = "") -> AssetEvent | None:
        """The newest event of a kind of an asset; None when there is none."""
        found = self.events(asset_key, kind, check_name=check_name, limit=1).events
        return found[0] if found else None

    def latest_of(self, asset_keys: Sequence[str], kind: str = MATERIALIZED) -> dict[str, AssetEvent]:
        """The newest event of a kind of each of these assets, where there is one."""
        newest = (
            "SELECT n.run_id, n.seq FROM {asset_event} n WHERE n.asset_key = v.name AND n.kind = :kind AND n.check_name = ''"
            " ORDER BY n.at DESC, n.run_id DESC, n.seq DESC LIMIT 1"
        )
        names = self._rules.dialect.rows("names", [("name", "text")])
        rows = self._read(
            f"SELECT {_COLUMNS} FROM {names} v JOIN {{asset_event}} e ON (e.run_id, e.seq) = ({newest})",
            {"kind": kind, "names": json.dumps([[key] for key in asset_keys])},
        )
        return {event.asset_key: event for event in map(_event, rows)}

    def events(
        self,
        asset_key: str,
        kind: str = MATERIALIZED,
        *,
        check_name: str = "",
        cursor: str | None = None,
        limit: int = 100,
    ) -> AssetEventPage:
        """Events of a kind of an asset, newest first.

        Args:
            check_name: of evaluations, which check.
            cursor: from the page before; opaque.
            limit: events a page.

        Raises:
            DocumentError: the cursor is not one of ours.
        """
        params: dict[str, Any] = {"key": asset_key, "kind": kind, "check": check_name, "limit": limit + 1}
        before = ""
        if cursor is not None:
            before = " AND (e.at, e.run_id, e.seq) < (:at, :after_run, :after_seq)"
            params["at"], params["after_run"], params["after_seq"] = _read_cursor(cursor)
        rows = self._read(
            f"SELECT {_COLUMNS} FROM {{asset_event}} e WHERE e.asset_key = :key AND e.kind = :kind AND e.check_name = :check"
            f"{before} ORDER BY e.at DESC, e.run_id DESC, e.seq DESC LIMIT :limit",
            params,
        )
        events = [_event(row) for row in rows[:limit]]
        return AssetEventPage(tuple(events), _write_cursor(events[-1]) if len(rows) > limit else None)

    def _read(self, text: str, params: dict[str, Any]) -> list[tuple[Any, ...]]:
        return self._database.read(self._rules.named(text), params)


def _event(row: tuple[Any, ...]) -> AssetEvent:
    asset_key, kind, check_name, at, run_id, seq, step, body = row
    return AssetEvent(asset_key, kind, check_name, at, run_id, seq, step, json.loads(body))


def _write_cursor(event: AssetEvent) -> str:
    return base64.urlsafe_b64encode(json.dumps(["asset", event.at, event.run_id, event.seq]).encode()).decode()


def _read_cursor(text: str) -> tuple[float, str, int]:
    try:
        name, at, run_id, seq = json.loads(base64.urlsafe_b64decode(text.encode()))
    except (ValueError, TypeError) as e:
        raise DocumentError("not a cursor of asset events", got=text[:60]) from e
    if name != "asset" or not isinstance(at, float) or not isinstance(run_id, str) or not isinstance(seq, int):
        raise DocumentError("not a cursor of asset events", got=text[:60])
    return at, run_id, seq
