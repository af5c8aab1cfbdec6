"""The instance's own id: a UUID that is drawn once for a database."""

from __future__ import annotations

import uuid

from .database import Database
from .dialect import Statement
from .rules import Rules


def instance_id(database: Database) -> str:
    """The id, drawn by the first call on this database. Of two at once both get the same."""
    named = Rules(database.dialect).named
    select = named("SELECT id FROM {instance_identity}")
    found = database.read(select, {})
    if not found:
        insert = named("INSERT INTO {instance_identity} (one, id) VALUES (1, :id) ON CONFLICT (one) DO NOTHING")
        database.transact([Statement(insert, {"id": str(uuid.uuid4())})])
        found = database.read(select, {})
    return str(found[0][0])
