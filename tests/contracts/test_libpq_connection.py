"""Connections through libpq itself, to a real server: several hosts, silence, signals, forks, what is printed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from types import FrameType
from urllib.parse import urlsplit

import psycopg
import pytest

from runplane.storage.libpq.connection import Connection, connect
from runplane.storage.libpq.failures import ConnectionFailedError, NoAnswerError, RefusedError
from runplane.storage.postgres import PostgresDatabase

WITHIN_S = 30.0
ONCE_MORE = """
import sys
from runplane.storage.libpq.connection import connect
connection = connect(sys.argv[1], {})
for _ in range(2):
    connection.script('CREATE SCHEMA IF NOT EXISTS "%s"' % sys.argv[2], 30)
connection.close()
print("psycopg" in sys.modules)
"""


@pytest.fixture
def connection(session_postgres_url: str) -> Iterator[Connection]:
    with closing(connect(session_postgres_url, {})) as made:
        yield made


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that takes connections and says nothing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server


@pytest.fixture
def closed_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port: int = server.getsockname()[1]
    return port


def on_hosts(url: str, *before: int) -> str:
    """The same server, after others on this machine."""
    parts = urlsplit(url)
    hosts = ",".join([*(f"127.0.0.1:{port}" for port in before), f"{parts.hostname}:{parts.port}"])
    return url.replace(f"@{parts.hostname}:{parts.port}", f"@{hosts}")


def value(connection: Connection, sql: str) -> object:
    (answer,) = connection.script(f"SELECT {sql}", WITHIN_S)
    return answer.rows[0][0]


def test_the_next_host_is_taken_when_one_refuses(session_postgres_url: str, closed_port: int) -> None:
    with closing(connect(on_hosts(session_postgres_url, closed_port), {})) as connection:
        assert value(connection, "1 + 1") == 2


def test_the_next_host_is_taken_when_one_is_silent(session_postgres_url: str, silent: socket.socket) -> None:
    url = on_hosts(session_postgres_url, silent.getsockname()[1])

    with closing(connect(url, {"connect_timeout": "2"})) as connection:
        assert value(connection, "1 + 1") == 2


def test_why_each_host_failed_is_said(silent: socket.socket, closed_port: int) -> None:
    url = f"postgresql://u:secret@127.0.0.1:{silent.getsockname()[1]},127.0.0.1:{closed_port}/d?connect_timeout=2"

    with pytest.raises(
        ConnectionFailedError, match=f"{silent.getsockname()[1]}: no connection within 2 s.*refused"
    ) as failed:
        connect(url, {})
    assert "secret" not in str(failed.value)


def test_a_wrong_password_is_said_in_the_servers_words(session_postgres_url: str) -> None:
    password = urlsplit(session_postgres_url).password
    assert password is not None

    with pytest.raises(ConnectionFailedError, match="password authentication failed"):
        connect(session_postgres_url.replace(password, "wrong"), {})


def test_a_signal_is_acted_on_while_a_server_is_silent(silent: socket.socket) -> None:
    class Told(Exception):
        pass

    def tell(_: int, __: FrameType | None) -> None:
        raise Told

    before = signal.signal(signal.SIGALRM, tell)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    begun = time.monotonic()
    try:
        with pytest.raises(Told):
            connect(f"postgresql://u@127.0.0.1:{silent.getsockname()[1]}/d?connect_timeout=60", {})
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - begun < 30


def test_a_server_that_says_nothing_to_a_statement(connection: Connection) -> None:
    with pytest.raises(NoAnswerError, match=r"no answer for 0\.2 s"):
        connection.script("SELECT pg_sleep(60)", 0.2)


def test_a_refused_statement_leaves_the_connection_as_it_was(connection: Connection) -> None:
    with pytest.raises(RefusedError, match="division by zero") as refused:
        connection.script("SELECT 1; SELECT 1 / 0; SELECT 2", WITHIN_S)

    assert (refused.value.sqlstate, refused.value.may_pass) == ("22012", False)
    assert value(connection, "3") == 3


def test_a_server_process_that_is_ended(connection: Connection, session_postgres_url: str) -> None:
    with closing(connect(session_postgres_url, {})) as other:
        assert value(other, f"pg_terminate_backend({connection.backend_pid}, 10000)") is True

    with pytest.raises((ConnectionFailedError, RefusedError)) as ended:
        connection.script("SELECT 1", WITHIN_S)
    assert ended.value.may_pass


def test_a_closed_connection_is_an_error_and_no_crash(connection: Connection) -> None:
    connection.close()
    connection.close()

    assert not connection.is_open
    with pytest.raises(ConnectionFailedError, match="closed"):
        connection.script("SELECT 1", WITHIN_S)
    with pytest.raises(ConnectionFailedError, match="closed"):
        connection.next_answer(0.1)


def test_an_open_connection_that_nobody_holds_is_given_back(session_postgres_url: str) -> None:
    with closing(connect(session_postgres_url, {})) as watching:
        pid = connect(session_postgres_url, {}).backend_pid

        deadline = time.monotonic() + 30
        while value(watching, f"(SELECT count(*) FROM pg_stat_activity WHERE pid = {pid})"):
            assert time.monotonic() < deadline


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_of_a_fork_does_not_take_leave_for_its_parent(connection: Connection) -> None:
    pid = os.fork()
    if pid == 0:
        connection.close()
        os._exit(0)
    os.waitpid(pid, 0)

    assert value(connection, "1 + 1") == 2


def test_notices_are_not_printed_and_psycopg_is_not_loaded(session_postgres_url: str, fresh_schema: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ONCE_MORE, session_postgres_url, fresh_schema],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "False\n", "")


def test_text_is_the_same_in_a_database_of_another_encoding(session_postgres_url: str, fresh_schema: str) -> None:
    with psycopg.connect(session_postgres_url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {fresh_schema} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0".encode())
        try:
            url = urlsplit(session_postgres_url)._replace(path=f"/{fresh_schema}").geturl()
            with closing(PostgresDatabase(url)) as database:
                read = database.read("SELECT CAST(:v AS text), pg_client_encoding()", {"v": "Grüße"})
        finally:
            admin.execute(f"DROP DATABASE {fresh_schema} WITH (FORCE)".encode())
    assert read == [("Grüße", "UTF8")]
