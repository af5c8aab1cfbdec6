"""Pools: how many steps at once may use something that is scarce. Slots are taken with the attempt and freed with its end.

Source of the meaning: https://docs.dagster.io/guides/operate/managing-concurrency/concurrency-pools
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from ..errors import ConflictError, NotFoundError, nearest
from ..serdes.record import record
from .database import Database
from .dialect import Statement
from .rules import Rules


@record
class Pool:
    """One pool.

    Attributes:
        slots: how many there are; None: no limit.
        used: how many are taken.
        is_default: nobody set this pool's limit; it follows ``concurrency.pools.default_limit`` of whoever issues next.
    """

    name: str
    slots: int | None
    used: int
    is_default: bool

    @property
    def has_room(self) -> bool:
        """Whether a slot is free now."""
        return self.slots is None or self.used < self.slots


@record
class SlotHolder:
    """An attempt that holds a slot."""

    run_id: str
    step: str
    n: int


class Pools:
    """Limits and use of the pools of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rules = Rules(database.dialect)

    def usage(self) -> list[Pool]:
        """All pools that were set or used, by name."""
        return self._select("", {})

    def get(self, name: str) -> Pool:
        """One pool.

        Raises:
            NotFoundError: nobody set or used it.
        """
        found = self._select(" WHERE name = :name", {"name": name})
        if not found:
            raise NotFoundError(
                f"no pool {name!r} was set or used", nearest=nearest(name, [p.name for p in self.usage()])
            )
        return found[0]

    def holders(self, name: str) -> Sequence[SlotHolder]:
        """Who holds the pool's slots."""
        rows = self._database.read(
            self._rules.named("SELECT run_id, step, n FROM {slot} WHERE pool = :name ORDER BY run_id, step, n"),
            {"name": name},
        )
        return [SlotHolder(*row) for row in rows]

    def set_limit(self, name: str, slots: int) -> None:
        """Set a pool's limit. Fewer than are in use: nobody loses a slot, and nobody gets one until there is room.

        Raises:
            ConflictError: the number is negative.
        """
        _must_be_a_limit(slots)
        self._write(
            "INSERT INTO {pool} (name, slots, is_default) VALUES (:name, CAST(:slots AS integer), 0)"
            " ON CONFLICT (name) DO UPDATE SET slots = excluded.slots, is_default = 0",
            name=name,
            slots=slots,
        )

    def make(self, names: Iterable[str], default_slots: int | None) -> None:
        """Have the pools of these names known, with the default limit; those that are known stay as they are."""
        text = (
            "INSERT INTO {pool} (name, slots, is_default) SELECT v.name, CAST(:slots AS integer), 1 FROM "
            + self._rules.dialect.rows("names", [("name", "text")])
            + " v WHERE true ON CONFLICT (name) DO NOTHING"
        )
        self._write(text, names=json.dumps([[name] for name in sorted(names)]), slots=default_slots)

    def delete(self, name: str) -> None:
        """Forget a pool's limit: when it is used again it has the default.

        Raises:
            NotFoundError: there is no such pool. ConflictError: somebody holds a slot of it.
        """
        if self._write("DELETE FROM {pool} WHERE name = :name AND used = 0", name=name) == 0:
            pool = self.get(name)
            raise ConflictError(
                f"the pool {name!r} is in use", got=f"{pool.used} slots taken", hint="Wait until its steps have ended."
            )

    def have_room(self, names: Sequence[str]) -> bool:
        """Whether every one of these pools has a free slot now. Takes nothing: by the time it is asked for, it may be gone."""
        wanted = self._rules.dialect.rows("names", [("name", "text")])
        rows = self._database.read(
            self._rules.named(
                f"SELECT count(*) FROM {{pool}} p JOIN {wanted} v ON p.name = v.name WHERE p.used >= p.slots"
            ),
            {"names": json.dumps([[n] for n in names])},
        )
        return int(rows[0][0]) == 0

    def _select(self, where: str, params: dict[str, str]) -> list[Pool]:
        text = self._rules.named("SELECT name, slots, used, is_default FROM {pool}" + where + " ORDER BY name")
        return [
            Pool(name, slots, used, bool(default)) for name, slots, used, default in self._database.read(text, params)
        ]

    def _write(self, text: str, **params: object) -> int:
        return self._database.transact([Statement(self._rules.named(text), params)])[0].matched


def _must_be_a_limit(slots: int) -> None:
    if slots < 0:
        raise ConflictError("a pool's limit is a number of slots", got=str(slots), expected="0 or more")
