"""How many steps of one run may be in flight at once, as a pure decision.

Source: https://docs.dagster.io/guides/operate/managing-concurrency (``max_concurrent``, ``tag_concurrency_limits``).
"""

from __future__ import annotations

from collections.abc import Mapping

from ..serdes.record import record

Bucket = tuple[int, str]
"""One counted tag limit, by its position, or one value of it."""


@record
class TagLimit:
    """At most `limit` steps at once whose tag `key` has `value` (None: any value, counted together).

    `per_value` counts each value by itself (Dagster's ``applyLimitPerUniqueValue``).
    """

    key: str
    limit: int
    value: str | None = None
    per_value: bool = False


@record
class Limits:
    """The limits of one run. `max_concurrent` None means as many as there are."""

    max_concurrent: int | None = None
    tags: tuple[TagLimit, ...] = ()


class Occupancy:
    """Counts what is in flight against the limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._used: dict[Bucket, int] = {}
        self.in_flight = 0

    def buckets_of(self, tags: Mapping[str, str]) -> tuple[Bucket, ...]:
        """The buckets that a step with these tags is counted in."""
        found: list[Bucket] = []
        for i, limit in enumerate(self._limits.tags):
            value = tags.get(limit.key)
            if value is not None and limit.value in (None, value):
                found.append((i, value if limit.per_value else ""))
        return tuple(found)

    def is_full(self) -> bool:
        """Whether no step at all may start."""
        most = self._limits.max_concurrent
        return most is not None and self.in_flight >= most

    def is_bucket_full(self, bucket: Bucket) -> bool:
        """Whether no step that counts in this bucket may start."""
        return self._used.get(bucket, 0) >= self._limits.tags[bucket[0]].limit

    def enter(self, buckets: tuple[Bucket, ...]) -> None:
        """Count a step that starts."""
        self.in_flight += 1
        for bucket in buckets:
            self._used[bucket] = self._used.get(bucket, 0) + 1

    def leave(self, buckets: tuple[Bucket, ...]) -> None:
        """Count a step that ended."""
        self.in_flight -= 1
        for bucket in buckets:
            self._used[bucket] -= 1
