"""The tags of a run that say which pools its steps need, where a slot is held by the run (``concurrency.pools.granularity: run``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

POOL_TAG = ".dagster/pool/"
"""What such a tag begins with; the pool's name follows."""


def pool_tags(pools: Iterable[str]) -> dict[str, str]:
    """The tags of a run whose steps need these pools."""
    return {POOL_TAG + name: "true" for name in sorted(set(pools))}


def without_pool_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """The other tags: a run that repeats another may need other pools."""
    return {key: value for key, value in tags.items() if not key.startswith(POOL_TAG)}
