"""The schema of a new database, the tables in Python and the migrations are one; old and new databases are met with a command."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from runplane.errors import ConflictError
from runplane.events.event import NewEvent
from runplane.events.kinds import EventKind
from runplane.events.run import Run
from runplane.storage import migrate as migrations
from runplane.storage.contract import Owner
from runplane.storage.journal import Journal
from runplane.storage.migrate import migrate
from runplane.storage.postgres import PostgresDatabase
from runplane.storage.schema import SCHEMA_VERSION, ddl
from runplane.storage.schema.print_schema import schema_text
from runplane.storage.sqlite import SqliteDatabase
from runplane.storage.version import SchemaOutdatedError

NEXT, AFTER_NEXT = (f"{int(SCHEMA_VERSION) + i:04}" for i in (1, 2))
MIGRATION = """
'''{doc}'''
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"
CONTRACTS_BELOW = {contracts!r}

def upgrade():
    {body}
"""


class OnSqlite:
    """A file, opened and looked at."""

    name = "sqlite"

    def __init__(self, path: Path) -> None:
        self.where = path
        self.options: dict[str, str] = {}

    def open(self) -> SqliteDatabase:
        return SqliteDatabase(self.where)

    def shape(self) -> list[Any]:
        with sqlite3.connect(self.where) as connection:
            rows = connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name").fetchall()
            rows += connection.execute("SELECT 'feed_head', id, last FROM feed_head").fetchall()
        connection.close()
        return [(kind, name, normal(text)) for kind, name, text in rows]

    def execute(self, text: str) -> None:
        with sqlite3.connect(self.where) as connection:
            connection.execute(text)
        connection.close()


class OnPostgres:
    """A schema, opened and looked at."""

    name = "postgresql"

    def __init__(self, url: str, schema: str) -> None:
        self.where = url
        self.schema = schema
        self.options = {"schema": schema}

    def open(self) -> PostgresDatabase:
        return PostgresDatabase(self.where, schema=self.schema)

    def shape(self) -> list[Any]:
        looks = (
            (
                "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid),"
                " col_description(c.oid, a.attnum), c.reloptions FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
                " LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum WHERE c.relnamespace = %s::regnamespace"
                " AND c.relkind = 'r' AND a.attnum > 0 ORDER BY 1, 2"
            ),
            "SELECT tablename, indexname, indexdef, null, null, null, null FROM pg_indexes WHERE schemaname = %s ORDER BY 1, 2",
            (
                "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), null, null, null, null FROM pg_constraint"
                " WHERE connamespace = %s::regnamespace ORDER BY 1, 2"
            ),
        )
        with psycopg.connect(self.where) as connection:
            rows = [row for look in looks for row in connection.execute(look, (self.schema,)).fetchall()]
        # The name that a constraint was given is nobody's business: alembic gives the one of its table another.
        return sorted(
            str(row).replace(self.schema, "s").replace("schema_version_pkc", "schema_version_pkey") for row in rows
        )

    def execute(self, text: str) -> None:
        with psycopg.connect(self.where, autocommit=True) as connection:
            connection.execute(f'SET search_path TO "{self.schema}"'.encode())
            connection.execute(text.encode())


Place = OnSqlite | OnPostgres


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "sqlite":
        yield OnSqlite(tmp_path / "one.db")
        return
    url, schema = request.getfixturevalue("session_postgres_url"), request.getfixturevalue("fresh_schema")
    yield OnPostgres(url, schema)


@pytest.fixture
def other_place(place: Place, tmp_path: Path) -> Iterator[Place]:
    if isinstance(place, OnSqlite):
        yield OnSqlite(tmp_path / "other.db")
        return
    schema = place.schema + "_b"
    yield OnPostgres(place.where, schema)
    with psycopg.connect(place.where, autocommit=True) as connection:
        connection.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE'.encode())


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for migrations of versions to come."""
    folder = tmp_path / "later"
    folder.mkdir()
    monkeypatch.setattr(migrations, "VERSIONS", (*migrations.VERSIONS, folder))
    return folder


def normal(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    text = re.sub(r"CONSTRAINT \w+ PRIMARY KEY", "PRIMARY KEY", text)
    return re.sub(r"\s+", " ", text.replace('"', "")).replace("( ", "(").replace(" )", ")").strip()


def write_next(
    folder: Path, *, body: str, contracts: str | None = None, revision: str = NEXT, before: str = SCHEMA_VERSION
) -> None:
    text = MIGRATION.format(doc="Something new.", revision=revision, before=before, contracts=contracts, body=body)
    (folder / f"v{revision}.py").write_text(text)


def open_and_close(place: Place) -> None:
    database = place.open()
    database.read("SELECT 1", {})
    database.close()


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_the_printed_schema_is_that_of_the_tables(dialect: str) -> None:
    assert ddl(dialect) == schema_text(dialect)


def test_migrations_lead_to_the_printed_schema(place: Place, other_place: Place) -> None:
    open_and_close(place)

    done = migrate(other_place.where, **other_place.options)

    assert done[0] == "0001: The first schema."
    assert other_place.shape() == place.shape()


def test_a_new_database_needs_no_migration(place: Place) -> None:
    open_and_close(place)

    assert migrate(place.where, **place.options) == []


def test_a_migrated_database_opens(place: Place) -> None:
    migrate(place.where, **place.options)

    open_and_close(place)


def test_an_old_database_is_refused_with_the_command_that_helps(place: Place) -> None:
    open_and_close(place)
    place.execute("UPDATE schema_version SET version_num = '0000'")

    with pytest.raises(
        SchemaOutdatedError, match=f"got schema 0000, expected schema {SCHEMA_VERSION}.*instance migrate"
    ):
        open_and_close(place)


def test_a_database_of_the_next_version_serves_this_one_until_it_contracts(place: Place, later: Path) -> None:
    write_next(later, body="op.add_column('run', sa.Column('note', sa.Text()))")
    migrate(place.where, **place.options)
    open_and_close(place)

    write_next(
        later,
        body=f"op.execute(\"UPDATE schema_serves SET oldest = '{NEXT}'\")",
        contracts="1.1",
        revision=AFTER_NEXT,
        before=NEXT,
    )
    assert migrate(place.where, **place.options) == [f"{AFTER_NEXT}: Something new."]

    with pytest.raises(
        SchemaOutdatedError, match=f"newer runplane and serves versions from schema {NEXT} on.*pip install"
    ):
        open_and_close(place)


def test_a_database_that_is_too_new_is_not_migrated(place: Place) -> None:
    open_and_close(place)
    place.execute("UPDATE schema_version SET version_num = '9999'")

    with pytest.raises(SchemaOutdatedError, match="newer runplane.*pip install"):
        migrate(place.where, **place.options)


def test_a_contraction_waits_for_live_runs_of_older_workers(place: Place, later: Path) -> None:
    database = place.open()
    journal = Journal(database)
    journal.create(Run(run_id="r1", job_name="job"))
    claim = journal.claim_run("r1", Owner("w", "h", "b", 1, 1), [], NewEvent(EventKind.RUN_START, None, None, {}, 1.0))
    assert claim is not None
    write_next(later, body="op.drop_column('run', 'handle')", contracts="1.1")

    with pytest.raises(ConflictError, match=f"{NEXT} takes away what 1 live runs.*r1.*instance migrate"):
        migrate(place.where, **place.options)

    journal.finalise("r1", claim.epoch, NewEvent(EventKind.RUN_FAILURE, None, None, {}, 1.0), cause="lost")
    database.close()
    assert migrate(place.where, **place.options) == [f"{NEXT}: Something new."]


def test_a_migration_that_fails_leaves_the_database_as_it_was(place: Place, later: Path) -> None:
    open_and_close(place)
    before = place.shape()
    write_next(later, body="op.add_column('run', sa.Column('note', sa.Text())); raise ValueError('broken')")

    with pytest.raises(ValueError, match="broken"):
        migrate(place.where, **place.options)

    assert place.shape() == before
    open_and_close(place)
