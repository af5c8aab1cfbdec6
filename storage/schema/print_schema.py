"""``python -m runplane.storage.schema.print_schema sqlite|postgresql``: the DDL of a new database, from ``tables.py``."""

from __future__ import annotations

import sys

from sqlalchemy import create_mock_engine
from sqlalchemy.sql.ddl import ExecutableDDLElement

from ..tables import metadata
from . import OLDEST_SERVED, SCHEMA_VERSION


def schema_text(dialect: str) -> str:
    """All statements, each ended by ``;`` and a blank line. Table names are bare: the schema is the search path's."""
    statements: list[str] = []

    def collect(ddl: ExecutableDDLElement, *_: object, **__: object) -> None:
        statements.append(str(ddl.compile(dialect=engine.dialect)).strip())

    engine = create_mock_engine({"sqlite": "sqlite://", "postgresql": "postgresql+psycopg://"}[dialect], collect)
    metadata.create_all(engine, checkfirst=False)
    # Indexes of a table come in no fixed order.
    statements.sort(key=_rank)
    statements.append("INSERT INTO feed_head (id, last) VALUES (1, 0)")
    statements.append(f"INSERT INTO schema_serves (id, oldest) VALUES (1, '{OLDEST_SERVED}')")
    statements.append(f"INSERT INTO schema_version (version_num) VALUES ('{SCHEMA_VERSION}')")
    lines = [line.rstrip() for s in statements for line in f"{s};\n".splitlines()]
    return "\n".join(lines) + "\n"


def _rank(statement: str) -> tuple[int, str]:
    """Tables in the order of their references, then indexes by name, then comments."""
    if statement.startswith("CREATE TABLE"):
        return 0, ""
    return (2, "") if statement.startswith("COMMENT") else (1, statement.split(" ON ")[0])


if __name__ == "__main__":
    sys.stdout.write(schema_text(sys.argv[1]))
