"""The DDL of a new database and the version it stands for. Printed from ``tables.py`` by ``print_schema.py``; a test compares."""

from __future__ import annotations

from pathlib import Path

SCHEMA_VERSION = "0009"
"""The newest migration, which the printed DDL equals."""
OLDEST_SERVED = "0001"
"""The oldest version of the schema whose library may use a database that this one made. A contraction raises it."""


def ddl(dialect: str) -> str:
    """The statements that make a new database: ``sqlite`` or ``postgresql``."""
    return Path(__file__).with_name(f"{dialect}.sql").read_text(encoding="utf-8")
