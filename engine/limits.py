"""How many steps of one run may be in flight at once, as a pure decision.

Source: https://docs.dagster.io/guides/operate/managing-concurrency (``max_concurrent``, ``tag_concurrency_limits``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TagLimit:
    """At most `limit` steps at once whose tag `key` has `value` (None: any value, counted together).

    `per_value` counts each value by itself (Dagster's ``applyLimitPerUniqueValue``).
    """

    key: str
    limit: int
    value: str | None = None
    per_value: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one run. `max_concurrent` None means as many as there are."""

    max_concurrent: int | None = None
    tags: tuple[TagLimit, ...] = ()


class Occupancy:
    """Counts what is in flight against the limits. A bucket is one counted limit, or one value of it."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._used: dict[tuple[int, str], int] = {}
        self.in_flight = 0

    def is_full(self) -> bool:
        """Whether no step at all may start."""
        most = self._limits.max_concurrent
        return most is not None and self.in_flight >= most

    def full_bucket(self, tags: Mapping[str, str]) -> tuple[int, str] | None:
        """The first bucket that has no room for a step with these tags, or None when it may start."""
        for bucket, limit in self._buckets(tags):
            if self._used.get(bucket, 0) >= limit:
                return bucket
        return None

    def enter(self, tags: Mapping[str, str]) -> None:
        """Count a step that starts."""
        self.in_flight += 1
        for bucket, _ in self._buckets(tags):
            self._used[bucket] = self._used.get(bucket, 0) + 1

    def leave(self, tags: Mapping[str, str]) -> list[tuple[int, str]]:
        """Count a step that ended; return the buckets that have room again."""
        self.in_flight -= 1
        buckets = [bucket for bucket, _ in self._buckets(tags)]
        for bucket in buckets:
            self._used[bucket] -= 1
        return buckets

    def _buckets(self, tags: Mapping[str, str]) -> list[tuple[tuple[int, str], int]]:
        found = []
        for i, limit in enumerate(self._limits.tags):
            value = tags.get(limit.key)
            if value is None or (limit.value is not None and value != limit.value):
                continue
            found.append(((i, value if limit.per_value else ""), limit.limit))
        return found
