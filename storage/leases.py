"""Who of several equal processes does a thing: one row per thing, its fence, and beats that the others observe.

A holder is replaced on positive evidence (it let go, its process is gone), or when its beat stood still through one whole TTL of the
taker's own uninterrupted contact with the database. Each new holder gets a higher fence, and whatever it stores checks the fence in the
same transaction: who was replaced without noticing stores nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from ..errors import FencedError
from ..serdes.record import record
from .contract import Owner
from .database import Database
from .dialect import Statement
from .liveness import proven_gone
from .rules import Rules

LOOKS_PER_TTL = 4
"""A gap in the contact of more than one such part begins the time anew."""
HELD = "EXISTS (SELECT 1 FROM {lease} l WHERE l.name = :lease AND l.holder = :holder AND l.fence = :fence)"
"""The condition of every statement of a holder but the first, which locks the row."""
_LOCK = "UPDATE {lease} SET beat = beat + 1 WHERE name = :lease AND holder = :holder AND fence = :fence"
Clock = Callable[[], float]


@record
class Lease:
    """The right to do what `name` says. `holder` is the text in the row; `fence` is higher than that of all holders before."""

    name: str
    holder: str
    fence: int

    @property
    def params(self) -> dict[str, Any]:
        """Parameters of ``HELD`` and of the statement that locks."""
        return {"lease": self.name, "holder": self.holder, "fence": self.fence}


class BeatWatch:
    """Whether a beat stood still through one whole TTL of uninterrupted contact.

    Args:
        ttl_s: how long. It has to be looked at ``LOOKS_PER_TTL`` times as often at least.
        clock: monotonic; it runs on while this process is frozen.
    """

    def __init__(self, ttl_s: float, clock: Clock = time.monotonic) -> None:
        self._ttl_s = ttl_s
        self._clock = clock
        self._seen: object = None
        self._began = self._last = clock()

    def stood_still(self, seen: object) -> bool:
        """Take note of what was just read; True when it has been the same for a whole TTL."""
        now = self._clock()
        if seen != self._seen or now - self._last > self._ttl_s / LOOKS_PER_TTL:
            self._began = now
        self._seen, self._last = seen, now
        return self.still_for_s >= self._ttl_s

    @property
    def still_for_s(self) -> float:
        """How long it had been the same when it was looked at last."""
        return self._last - self._began


class Leases:
    """The leases of one database, for one process.

    Args:
        owner: this process.
        ttl_s: how long a holder's beat has to stand still before it is replaced.
    """

    def __init__(self, database: Database, owner: Owner, *, ttl_s: float, clock: Clock = time.monotonic) -> None:
        self._database = database
        self._rules = Rules(database.dialect)
        self._worker_id = owner.worker_id
        self._holder = json.dumps(owner.to_body())
        self._ttl_s = ttl_s
        self._clock = clock
        self._watches: dict[str, BeatWatch] = {}

    def acquire(self, name: str) -> Lease | None:
        """The lease, if it is to be had now (or is held by this process already); to be asked again and again."""
        found = self._read(name)
        if found is None:
            self._write("INSERT INTO {lease} (name) VALUES (:lease) ON CONFLICT (name) DO NOTHING", lease=name)
            found = self._read(name)
            assert found is not None
        holder, fence, beat = found
        if holder == self._holder:
            return Lease(name, holder, fence)
        if not self._is_free(name, holder, fence, beat):
            return None
        text = (
            "UPDATE {lease} SET holder = :holder, fence = fence + 1, beat = beat + 1"
            " WHERE name = :lease AND fence = :fence AND beat = :beat"
        )
        self._write(text, lease=name, holder=self._holder, fence=fence, beat=beat)
        # Read and not concluded: the reply of an update that was carried out may be lost, and it is sent again.
        holder, fence, _ = self._read(name) or (None, 0, 0)
        return Lease(name, self._holder, fence) if holder == self._holder else None

    def renew(self, lease: Lease) -> None:
        """Say that the holder is alive.

        Raises:
            FencedError: another process holds it.
        """
        if not self._write(_LOCK, **lease.params):
            raise fenced(lease)

    def release(self, lease: Lease) -> None:
        """Let go: anybody may have it at once. Nothing happens when it is not held any more."""
        text = "UPDATE {lease} SET holder = NULL WHERE name = :lease AND holder = :holder AND fence = :fence"
        self._write(text, **lease.params)

    def holder(self, name: str) -> Owner | None:
        """Who has it; None: nobody."""
        found = self._read(name)
        return Owner(**json.loads(found[0])) if found and found[0] else None

    def _is_free(self, name: str, holder: str | None, fence: int, beat: int) -> bool:
        if holder is None or proven_gone(Owner(**json.loads(holder))) is not None:
            return True
        watch = self._watches.setdefault(name, BeatWatch(self._ttl_s, self._clock))
        return watch.stood_still((fence, beat))

    def _read(self, name: str) -> tuple[str | None, int, int] | None:
        text = self._rules.named("SELECT holder, fence, beat FROM {lease} WHERE name = :lease")
        rows = self._database.read(text, {"lease": name})
        return (rows[0][0], int(rows[0][1]), int(rows[0][2])) if rows else None

    def _write(self, text: str, **params: Any) -> int:
        return self._database.transact([Statement(self._rules.named(text), params)])[0].matched


def locking(rules: Rules, lease: Lease) -> Statement:
    """The first statement of a holder's transaction: it locks the lease, and matches nothing when the lease is another's."""
    return Statement(rules.named(_LOCK), lease.params)


def fenced(lease: Lease) -> FencedError:
    """What a holder learns that was replaced."""
    return FencedError(f"another process holds the lease {lease.name!r}", got=f"fence {lease.fence}")
