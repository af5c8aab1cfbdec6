"""The pipeline over libpq: values out and in, refused statements, what is kept prepared, time-outs with and without a session."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from types import FrameType

import psycopg
import pytest

from runplane.errors import RunplaneError, StorageUnavailableError
from runplane.storage.dialect import Statement
from runplane.storage.libpq.failures import RefusedError
from runplane.storage.postgres import PostgresDatabase

UNIQUE_VIOLATION = "23505"


@pytest.fixture(params=["direct", "pgbouncer"])
def database(request: pytest.FixtureRequest, fresh_schema: str) -> Iterator[PostgresDatabase]:
    url = request.getfixturevalue("session_postgres_url" if request.param == "direct" else "session_pgbouncer_url")
    database = PostgresDatabase(url, schema=fresh_schema)
    yield database
    database.close()


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("CAST(:v AS bigint)", 2**62),
        ("CAST(:v AS integer)", -5),
        ("CAST(:v AS float8)", 0.1 + 0.2),
        ("CAST(:v AS float8)", 1e300),
        ("CAST(:v AS text)", "Grüße ' \" \\ % :x $1 ☃"),
        ("CAST(:v AS text)", ""),
        ("CAST(:v AS text)", None),
        ("CAST(:v AS integer)", None),
        ("CAST(:v AS bytea)", bytes(range(256))),
    ],
)
def test_values_come_back_as_they_went(database: PostgresDatabase, sql: str, value: object) -> None:
    for _ in range(3):
        assert database.read(f"SELECT {sql}", {"v": value}) == [(value,)]


def test_the_same_text_with_other_types(database: PostgresDatabase) -> None:
    for value in (1, 1.5, None, "2", 3):
        assert database.read("SELECT CAST(:v AS text)", {"v": value})[0][0] == (None if value is None else str(value))


def test_a_refused_statement_undoes_those_before_it(database: PostgresDatabase, fresh_schema: str) -> None:
    table = f'"{fresh_schema}".pool'
    insert = Statement(f"INSERT INTO {table} (name) VALUES (:name)", {"name": "x"})

    for _ in range(2):
        with pytest.raises(RefusedError, match="duplicate key") as refused:
            database.transact([insert, insert, insert])
        assert refused.value.sqlstate == UNIQUE_VIOLATION

    assert database.read(f"SELECT count(*) FROM {table}", {}) == [(0,)]
    assert database.transact([insert])[0].matched == 1


def test_a_statement_that_is_wrong_is_no_outage(database: PostgresDatabase) -> None:
    with pytest.raises(RefusedError, match="nothing_of_ours"):
        database.read("SELECT * FROM nothing_of_ours", {})
    assert database.read("SELECT 1", {}) == [(1,)]


def test_many_statements_and_much_text(database: PostgresDatabase) -> None:
    big = "x" * 300_000

    outcomes = database.transact(
        [Statement("SELECT CAST(:v AS text), CAST(:i AS integer)", {"v": big, "i": i}) for i in range(50)]
    )

    assert [o.rows[0][1] for o in outcomes] == list(range(50))
    assert all(o.rows[0][0] == big for o in outcomes)


def test_time_outs_hold_inside_the_transaction(database: PostgresDatabase) -> None:
    asked = Statement(
        "SELECT current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout')", {}
    )

    assert database.transact([asked])[0].rows == [("5s", "10s")]


def test_a_lock_that_is_not_to_be_had_is_waited_for_again(
    session_postgres_url: str, fresh_schema: str, database: PostgresDatabase
) -> None:
    database.transact([Statement(f'INSERT INTO "{fresh_schema}".pool (name) VALUES (:n)', {"n": "x"})])
    impatient = PostgresDatabase(session_postgres_url, schema=fresh_schema, lock_timeout_s=0.1)
    with psycopg.connect(session_postgres_url) as holder:
        holder.execute(f'SELECT * FROM "{fresh_schema}".pool FOR UPDATE'.encode())

        with pytest.raises(StorageUnavailableError, match=r"within 0\.1 s"):
            impatient.transact([Statement(f'UPDATE "{fresh_schema}".pool SET used = 1', {})])

    assert impatient.transact([Statement(f'UPDATE "{fresh_schema}".pool SET used = 1', {})])[0].matched == 1
    impatient.close()


def test_nothing_is_prepared_through_a_pooler(session_pgbouncer_url: str, fresh_schema: str) -> None:
    database = PostgresDatabase(session_pgbouncer_url, schema=fresh_schema)
    for _ in range(5):
        database.read("SELECT 1", {})

    assert database.read("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'runplane%'", {}) == [(0,)]
    database.close()


def test_a_connection_is_closed_between_uses_when_asked(session_postgres_url: str, fresh_schema: str) -> None:
    database = PostgresDatabase(session_postgres_url, schema=fresh_schema)
    (first,) = database.read("SELECT pg_backend_pid()", {})
    database.release()

    (second,) = database.read("SELECT pg_backend_pid()", {})

    assert first != second
    database.close()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_connection_is_not_carried_through_a_fork(session_postgres_url: str, fresh_schema: str) -> None:
    database = PostgresDatabase(session_postgres_url, schema=fresh_schema)
    database.read("SELECT 1", {})
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            database.read("SELECT 1", {})
        except RunplaneError:
            code = 0
        finally:
            os._exit(code)

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert database.read("SELECT 1", {}) == [(1,)]
    database.close()


def test_tables_are_not_made_where_nobody_wants_them(session_postgres_url: str, fresh_schema: str) -> None:
    database = PostgresDatabase(session_postgres_url, schema=fresh_schema, autocreate=False)

    with pytest.raises(RunplaneError, match=r"should_autocreate_tables.*instance migrate"):
        database.read("SELECT 1", {})
    database.close()


def test_what_stands_beside_our_schema_is_left_alone(postgres_url: str) -> None:
    """A database that holds Dagster's tables stays as it is."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE runs (id int); CREATE TABLE alembic_version (version_num text)")
        database = PostgresDatabase(postgres_url)
        database.read("SELECT 1", {})
        database.close()

        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").fetchall()
    assert rows == [("alembic_version",), ("runs",)]


def test_what_interrupts_a_statement_does_not_leave_its_answer_to_the_next_one(database: PostgresDatabase) -> None:
    class Told(Exception):
        pass

    def tell(_: int, __: FrameType | None) -> None:
        raise Told

    database.read("SELECT 0", {})
    before = signal.signal(signal.SIGALRM, tell)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(Told):
            database.read("SELECT 1 FROM pg_sleep(1)", {})
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert database.read("SELECT 2", {}) == [(2,)]
