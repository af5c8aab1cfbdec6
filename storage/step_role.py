"""What a role of Postgres needs that a step's process connects as: to claim its attempt, to read its inputs, to write its events.

Told by ``runplane doctor --sql``. The role can write no run, issue nothing and delete no log; that an attempt writes its own events only
is held by its nonce, in the statements themselves, not by these grants.
"""

from __future__ import annotations

from collections.abc import Mapping

from .dialect import quoted

GRANTS: Mapping[str, tuple[str, ...]] = {
    "schema_version": ("SELECT",),
    "schema_serves": ("SELECT",),
    "run": ("SELECT",),
    "run_tag": ("SELECT",),
    "run_head": ("SELECT", "UPDATE"),
    "plan_step": ("SELECT",),
    "attempt": ("SELECT", "UPDATE"),
    "event": ("SELECT", "INSERT"),
    "asset_event": ("INSERT",),
    "feed": ("INSERT",),
    "pool": ("SELECT", "UPDATE"),
    "slot": ("SELECT", "DELETE"),
    "output_value": ("SELECT", "INSERT"),
}
"""Table -> verbs. A test shows that none can be left out."""
SEQUENCES = ("feed_id_seq",)
"""Sequences that are used."""


def grants_sql(role: str, *, schema: str = "runplane", database: str = "DATABASE") -> str:
    """The statements, as the owner of the tables runs them.

    Args:
        role: its name.
        schema: of our tables.
        database: its name.
    """
    name, where = quoted(role), quoted(schema)
    lines = [
        f"CREATE ROLE {name} LOGIN;",
        f"GRANT CONNECT ON DATABASE {quoted(database)} TO {name};",
        f"GRANT USAGE ON SCHEMA {where} TO {name};",
        *(f"GRANT {', '.join(verbs)} ON {where}.{quoted(table)} TO {name};" for table, verbs in GRANTS.items()),
        *(f"GRANT USAGE ON SEQUENCE {where}.{quoted(sequence)} TO {name};" for sequence in SEQUENCES),
    ]
    return "\n".join(lines) + "\n"
