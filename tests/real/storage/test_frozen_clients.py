"""A client that is stopped in the middle of an append holds up nobody who wants the run to end."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from storage_runs import StartedRun, event, log

from runplane.events.kinds import EventKind as K
from runplane.instance.instance import Instance
from runplane.storage import postgres
from runplane.storage.contract import Append
from runplane.storage.database import Database
from runplane.storage.journal import Journal
from runplane.storage.patience import PatientDatabase
from runplane.storage.pipeline import numbered
from runplane.storage.postgres import PostgresDatabase
from services.system import postgres_yaml

STATEMENTS = ("open", "guard", "events", "close")
"""Of the append below. After the last one only the commit is missing."""

STEPWISE = """
import os, signal, sys, time
import psycopg
from runplane.events.event import NewEvent
from runplane.storage.contract import Append
from runplane.storage.pipeline import numbered
from runplane.storage.postgres import PostgresDatabase
from runplane.storage.journal import Journal

url, run_id, epoch, batch, stop_after = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
database = PostgresDatabase(url)
journal = Journal(database)
t = journal.rules.as_coordinator(run_id, epoch, batch)
journal.rules.append(t, Append([NewEvent("LOG", None, None, {"message": "frozen"}, time.time())]))
with psycopg.connect(url, autocommit=True, application_name="runplane") as connection:
    connection.execute("SET idle_in_transaction_session_timeout = '3s'")
    connection.execute("BEGIN")
    for i, (sql, params) in enumerate(t.close()):
        text = numbered(sql).sql.decode()
        for k, name in reversed(list(enumerate(numbered(sql).names, 1))):
            text = text.replace(f"${k}", f"%({name})s")
        connection.execute(text, params)
        if i == stop_after:
            print("stopped", flush=True)
            os.kill(os.getpid(), signal.SIGSTOP)
    connection.execute("COMMIT")
    print("committed", flush=True)
"""


@pytest.fixture
def run(open_postgres: Callable[[], Database]) -> StartedRun:
    return StartedRun(Journal(open_postgres()))


@pytest.fixture
def patient(postgres_url: str, opened: Callable[[Database], Database]) -> Journal:
    """Somebody else, who waits for locks for a short time and tries again."""
    database = opened(PostgresDatabase(postgres_url, lock_timeout_s=0.5))
    return Journal(opened(PatientDatabase(database, patience_s=30, say=lambda line: None)))


def frozen(url: str, run: StartedRun, after: int) -> subprocess.Popen[str]:
    """A coordinator that stops itself between two statements of an append."""
    arguments = [url, run.run_id, str(run.epoch), str(run.batch + 1), str(after)]
    child = subprocess.Popen([sys.executable, "-c", STEPWISE, *arguments], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "stopped\n"
    os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
    return child


@pytest.fixture
def children() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for child in started:
        child.kill()
        child.communicate()


@pytest.mark.parametrize("after", range(len(STATEMENTS)), ids=STATEMENTS)
def test_a_cancel_is_accepted_while_the_coordinator_is_frozen_in_an_append(
    postgres_url: str, run: StartedRun, children: list[subprocess.Popen[str]], tmp_path: Path, after: int
) -> None:
    (tmp_path / "dagster.yaml").write_text(postgres_yaml(postgres_url))
    with Instance.from_home(tmp_path) as instance:
        instance.journal.head(run.run_id)
        children.append(frozen(postgres_url, run, after))

        began = time.monotonic()
        instance.request_cancel(run.run_id)
        took = time.monotonic() - began

        assert instance.journal.head(run.run_id).head == 1, "the append was not under way"
    assert took < 0.2


def test_what_a_frozen_client_locked_is_free_again(
    postgres_url: str, run: StartedRun, patient: Journal, children: list[subprocess.Popen[str]]
) -> None:
    child = frozen(postgres_url, run, 2)
    children.append(child)

    head = patient.intend(run.run_id, "cancel", event(K.RUN_CANCELING), event(K.RUN_CANCELED))
    assert head.intent == "cancel"

    child.send_signal(signal.SIGCONT)
    assert child.wait() != 0
    assert [e.kind for e in patient.tail(run.run_id, 0)] == ["RUN_START", "RUN_CANCELING"]


def test_a_client_frozen_while_it_sends_a_pipeline_is_ended_too(
    postgres_url: str, run: StartedRun, patient: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Postgres does not count it as idle, since it waits for the rest of the pipeline."""
    monkeypatch.setattr(postgres, "IDLE_IN_TRANSACTION_S", 1.0)
    with psycopg.connect(postgres_url, autocommit=True, application_name="runplane") as connection:
        connection.execute("SET idle_in_transaction_session_timeout = '1s'")
        half_sent(connection, run)

        assert patient.annotate(run.run_id, [log("goes on")]) == 2

        with pytest.raises(psycopg.OperationalError, match="terminat|closed"):
            wait_for_more(connection)


def half_sent(connection: psycopg.Connection[Any], run: StartedRun) -> None:
    """Lock the head row in a pipeline, and send nothing more."""
    t = run.journal.rules.as_coordinator(run.run_id, run.epoch, run.batch + 1)
    run.journal.rules.append(t, Append([log("never sent whole")]))
    sql, params = t.close()[0]
    text = numbered(sql)
    pgconn = connection.pgconn
    pgconn.enter_pipeline_mode()
    pgconn.send_query_params(
        text.sql,
        [str(params[n]).encode() for n in text.names],
        [20 if isinstance(params[n], int) else 25 for n in text.names],
    )
    pgconn.send_flush_request()
    while pgconn.flush():
        select.select([], [pgconn.socket], [], 10)
    while pgconn.is_busy():
        select.select([pgconn.socket], [], [], 10)
        pgconn.consume_input()
    result = pgconn.get_result()
    assert result is not None
    assert result.command_tuples == 1
    assert pgconn.get_result() is None


def wait_for_more(connection: psycopg.Connection[Any]) -> None:
    """Read what the server sends from itself, for ten seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if select.select([connection.pgconn.socket], [], [], 1)[0]:
            connection.pgconn.consume_input()


def test_a_server_that_is_silent_counts_as_away(
    postgres_server: Any, run: StartedRun, postgres_url: str, opened: Callable[[Database], Database]
) -> None:
    said: list[str] = []
    database = opened(PostgresDatabase(postgres_url, answer_within_s=0.5))
    journal = Journal(opened(PatientDatabase(database, patience_s=None, say=said.append)))
    journal.head(run.run_id)
    postgres_server.pause()

    wakes = threading.Timer(2.0, postgres_server.start)
    wakes.start()
    assert journal.annotate(run.run_id, [log("in the end")]) >= 2
    wakes.join()

    assert said
    assert "does not answer" in said[0]
