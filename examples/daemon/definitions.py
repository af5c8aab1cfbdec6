"""Loads that wait for their turn, and one that is run again when its source was away."""

from __future__ import annotations

import os

from runplane import Definitions, job, op


@op
def list_tables() -> list[str]:
    """The expensive part, which a retry does not repeat."""
    return ["customers", "orders", "payments"]


@op
def load(context, tables: list[str]) -> int:
    """Loads them all; fails while the source is away (EXAMPLE_SOURCE_AWAY names a file that says so)."""
    away = os.environ.get("EXAMPLE_SOURCE_AWAY")
    if away and os.path.exists(away):
        os.remove(away)  # it is back the next time
        raise ConnectionError("the source does not answer")
    context.log.info(f"loaded {len(tables)} tables")
    return len(tables)


@job(tags={"team": "warehouse", "dagster/max_retries": 3})
def nightly_load():
    """At most one of the team's runs at a time; run again up to three times, from its failure."""
    load(list_tables())


@job(tags={"team": "warehouse", "dagster/priority": 10})
def urgent_load():
    """Comes before all that wait with a lower priority."""
    load(list_tables())


defs = Definitions(jobs=[nightly_load, urgent_load])
