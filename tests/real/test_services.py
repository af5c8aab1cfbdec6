"""The services that other tests stand on do what their fixtures promise."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from services import postgres
from services.fixtures import not_to_be_had
from services.pgbouncer import LocalPgBouncer, program
from services.postgres import LocalPostgres, PostgresServer


def ask(url: str, query: str) -> Any:
    with psycopg.connect(url, connect_timeout=2, autocommit=True) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def test_each_test_gets_an_empty_database_of_its_own(postgres_url: str, postgres_server: PostgresServer) -> None:
    name = urlsplit(postgres_url).path.lstrip("/")

    assert ask(postgres_url, "SELECT current_database()") == name != "postgres"
    assert ask(postgres_url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0


def test_pgbouncer_pools_by_transaction(pgbouncer_url: str, postgres_url: str) -> None:
    bouncer = urlsplit(pgbouncer_url)

    with psycopg.connect(bouncer._replace(path="/pgbouncer").geturl(), autocommit=True) as console:
        settings = dict(row[:2] for row in console.execute("SHOW CONFIG").fetchall())

    assert bouncer.port != urlsplit(postgres_url).port
    assert settings["pool_mode"] == "transaction"
    assert ask(pgbouncer_url, "SELECT current_database()") == urlsplit(postgres_url).path.lstrip("/")


@pytest.mark.parametrize("outage", ["stop", "crash", "pause"])
def test_an_outage_is_felt_and_what_was_stored_is_there_after_it(
    outage: str, postgres_url: str, postgres_server: PostgresServer
) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS value")

    getattr(postgres_server, outage)()

    with pytest.raises(psycopg.OperationalError):
        ask(postgres_url, "SELECT 1")

    postgres_server.start()

    assert ask(postgres_url, "SELECT value FROM kept") == 7


@pytest.mark.parametrize("outage", ["stop", "crash", "pause"])
def test_the_server_programs_serve_as_well_where_there_is_no_docker(outage: str, servers_folder: Path) -> None:
    programs = postgres.local_programs()
    if programs is None or program() is None:
        not_to_be_had("no Postgres or pgBouncer programs on this machine; its Docker serves the other tests")
    folder = servers_folder / outage
    folder.mkdir()
    server = LocalPostgres(programs, folder)
    bouncer = LocalPgBouncer(server, folder)
    try:
        getattr(server, outage)()
        with pytest.raises(psycopg.OperationalError):
            ask(server.url(), "SELECT 1")
        server.start()

        assert ask(bouncer.url(), "SELECT 7") == 7
    finally:
        bouncer.close()
        server.close()
