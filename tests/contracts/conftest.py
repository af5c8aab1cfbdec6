"""Databases for conformance suites."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql


@pytest.fixture(scope="session")
def session_postgres_url(postgres_server: Any) -> str:
    return str(postgres_server.url())


@pytest.fixture(scope="session")
def session_pgbouncer_url(pgbouncer_server: Any) -> str:
    return str(pgbouncer_server.url())


@pytest.fixture
def fresh_schema(session_postgres_url: str) -> Iterator[str]:
    """A name that no schema has; what a test makes under it is dropped afterwards."""
    name = f"t_{secrets.token_hex(6)}"
    yield name
    with psycopg.connect(session_postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name)))
