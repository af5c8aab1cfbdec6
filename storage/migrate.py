"""``runplane instance migrate``: lead a database to this library's schema.

Only this module and what it runs load alembic and sqlalchemy's engine. A database that this version made needs none of it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from ..errors import ConflictError, StorageUnavailableError
from .schema import SCHEMA_VERSION
from .version import SchemaOutdatedError

MIGRATIONS = Path(__file__).parent / "migrations"
VERSIONS: tuple[Path, ...] = (MIGRATIONS / "versions",)


def migrate(where: Path | str, *, schema: str = "runplane") -> list[str]:
    """Bring a database to the newest schema, in one transaction.

    Args:
        where: a SQLite file, or the URL of a Postgres database.
        schema: the Postgres schema that holds our tables.

    Returns:
        What was done, a line per migration; empty when there was nothing to do.

    Raises:
        SchemaOutdatedError: a newer runplane migrated it.
        ConflictError: a migration takes away what live runs of older workers need.
        StorageUnavailableError: no answer.
    """
    scripts = _scripts()
    with _transaction(where, schema) as connection:
        found = _version(connection, schema)
        known = [s.revision for s in scripts.walk_revisions()]
        if found is not None and found not in known:
            raise SchemaOutdatedError(
                "the database was migrated by a newer runplane",
                where=_shown(where),
                got=f"schema {found}",
                expected=f"schema {SCHEMA_VERSION}",
                hint="Upgrade this installation: pip install --upgrade runplane",
            )
        todo = list(scripts.iterate_revisions("head", found or "base"))[::-1]
        for script in todo:
            _refuse_contraction(connection, script, _shown(where))
        if todo:
            _run(scripts, connection, None if isinstance(where, Path) else schema)
        return [f"{s.revision}: {(s.doc or '').splitlines()[0]}" for s in todo]


def _scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(map(str, VERSIONS)).replace("%", "%%"))
    return ScriptDirectory.from_config(config)


def _run(scripts: ScriptDirectory, connection: Connection, schema: str | None) -> None:
    config = Config()
    config.attributes.update(connection=connection, schema=schema)

    def upgrade(revision: Any, _: Any) -> Any:
        return scripts._upgrade_revs("head", revision)

    with EnvironmentContext(config, scripts, fn=upgrade):
        scripts.run_env()


@contextmanager
def _transaction(where: Path | str, schema: str) -> Iterator[Connection]:
    try:
        if isinstance(where, Path):
            with _on_sqlite(where) as connection:
                yield connection
        else:
            with _on_postgres(where, schema) as connection:
                yield connection
    except OperationalError as e:
        raise StorageUnavailableError(f"the database does not take it: {e.orig}", where=_shown(where)) from e


@contextmanager
def _on_sqlite(path: Path) -> Iterator[Connection]:
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool, connect_args={"timeout": 30})
    event.listen(engine, "connect", _leave_transactions_alone)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    with engine.begin() as connection:
        yield connection


def _leave_transactions_alone(connection: sqlite3.Connection, _: object) -> None:
    # The driver would commit before each CREATE TABLE.
    connection.isolation_level = None


@contextmanager
def _on_postgres(url: str, schema: str) -> Iterator[Connection]:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": "runplane schema " + schema}
        )
        quoted = connection.dialect.identifier_preparer.quote(schema)
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {quoted}"))
        connection.execute(text(f"SET LOCAL search_path TO {quoted}"))
        yield connection


def _version(connection: Connection, schema: str) -> str | None:
    """The database's version, or None when it has no tables of ours."""
    if connection.dialect.name == "sqlite":
        query = "SELECT 1 FROM sqlite_master WHERE name = 'schema_version'"
        there = connection.execute(text(query)).first()
    else:
        query = "SELECT 1 FROM pg_tables WHERE schemaname = :schema AND tablename = 'schema_version'"
        there = connection.execute(text(query), {"schema": schema}).first()
    return connection.execute(text("SELECT version_num FROM schema_version")).scalar_one() if there else None


def _refuse_contraction(connection: Connection, script: Script, where: str) -> None:
    needed: str | None = script.module.CONTRACTS_BELOW
    if needed is None:
        return
    rows = connection.execute(
        text("SELECT run_id, level FROM run_head WHERE status IN ('STARTING', 'STARTED', 'CANCELING')")
    ).all()
    older = [run for run, level in rows if level is not None and _level(level) < _level(needed)]
    if older:
        raise ConflictError(
            f"migration {script.revision} takes away what {len(older)} live runs of older workers need",
            where=where,
            got=", ".join(older[:5]),
            hint="Wait until they have ended, or cancel them; then run `runplane instance migrate` again.",
        )


def _level(level: str) -> tuple[int, int]:
    major, minor = level.split(".")
    return int(major), int(minor)


def _shown(where: Path | str) -> str:
    if isinstance(where, Path):
        return f"sqlite:{where}"
    url = make_url(where)
    return f"postgres {url.host or 'localhost'}:{url.port or 5432}/{url.database or ''}"
