"""Values that the database keeps, on both databases: only who owns an attempt stores one, and only what a success made is read."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from storage_runs import StartedRun, event

from runplane.engine.snapshot import StoredOutput
from runplane.events.event import NewEvent
from runplane.events.kinds import EventKind as K
from runplane.storage.contract import Append, AttemptRef, Finish, Issue, Refused, Seal
from runplane.storage.database import Database
from runplane.storage.deletion import Deletions
from runplane.storage.journal import Journal
from runplane.storage.postgres import PostgresDatabase
from runplane.storage.sqlite import SqliteDatabase


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    made: Database
    if request.param == "sqlite":
        made = SqliteDatabase(tmp_path / "one.db")
    else:
        url, schema = request.getfixturevalue("session_postgres_url"), request.getfixturevalue("fresh_schema")
        made = PostgresDatabase(url, schema=schema)
    yield made
    made.close()


@pytest.fixture
def run(database: Database) -> StartedRun:
    return StartedRun(Journal(database))


def output(value: bytes, n: int = 1, mapping_key: str | None = None, asset_key: str | None = None) -> NewEvent:
    location = {"database": n, **({"asset_key": asset_key} if asset_key else {})}
    body = {"output": "result", "mapping_key": mapping_key, "location": location}
    return NewEvent(K.STEP_OUTPUT, "a", n, body, time.time(), value)


def success(n: int = 1) -> NewEvent:
    return event(K.STEP_SUCCESS, "a", n)


def stored(run: StartedRun, n: int = 1, mapping_key: str | None = None) -> StoredOutput:
    return StoredOutput(run.run_id, "a", "result", mapping_key, {"database": n})


def values_kept(database: Database) -> int:
    prefix = database.dialect.prefix
    return int(database.read(f"SELECT count(*) FROM {prefix}output_value", {})[0][0])


def test_values_travel_with_their_events_and_are_read_once_the_attempt_has_succeeded(run: StartedRun) -> None:
    ref = AttemptRef("a", 1)
    (nonce,) = run.issue("a")
    large = secrets.token_bytes(3 * 1024 * 1024)
    run.commit(Append([output(large, mapping_key="k"), output(b"\0plain")], ref, nonce))

    assert run.journal.values.get([stored(run)]) == [None]
    assert run.journal.values.get([stored(run)], early=True) == [b"\0plain"]

    run.commit(Append([success()], ref, nonce))
    wanted = [stored(run), stored(run, mapping_key="k"), stored(run, mapping_key="other")]
    assert run.journal.values.get(wanted) == [b"\0plain", large, None]


def test_an_attempt_that_writes_for_itself_stores_a_batch_again_after_a_lost_reply(run: StartedRun) -> None:
    ref = AttemptRef("a", 1)
    (nonce,) = run.issue("a")

    for _ in range(2):
        assert run.journal.append_as_attempt(run.run_id, ref, nonce, 1, [output(b"one"), success()])

    assert run.journal.values.get([stored(run)]) == [b"one"]


def test_a_sealed_attempt_stores_nothing_and_what_it_stored_before_is_read_by_nobody(
    run: StartedRun, database: Database
) -> None:
    first, second = AttemptRef("a", 1), AttemptRef("a", 2)
    (nonce,) = run.issue("a")
    run.commit(Append([output(b"late")], first, nonce))
    run.commit(Seal(first, "LOST", "gone"))
    (issued,) = run.commit(Issue(second, worker="w")).results

    (refused,) = run.commit(Append([output(b"later", mapping_key="k"), success()], first, nonce)).results
    assert isinstance(refused, Refused)
    assert not run.journal.append_as_attempt(run.run_id, first, nonce, 1, [output(b"last", mapping_key="k"), success()])
    assert values_kept(database) == 1, "values of the attempt that was sealed"

    run.commit(Append([output(b"right", 2), success(2)], second, getattr(issued, "nonce", None)))
    assert run.journal.values.get([stored(run), stored(run, 2)]) == [None, b"right"], "what is read"
    assert run.journal.outputs(run.run_id, ["a"]) == [stored(run, 2)]


def test_the_newest_value_of_an_asset_is_that_of_the_newest_success(database: Database) -> None:
    key = secrets.token_hex(4)
    for value, ends in ((b"old", True), (b"new", True), (b"failed", False)):
        run = StartedRun(Journal(database))
        (nonce,) = run.issue("a")
        run.commit(Append([output(value, asset_key=key)], AttemptRef("a", 1), nonce))
        if ends:
            run.commit(Append([success()], AttemptRef("a", 1), nonce))

    assert run.journal.values.of_asset(key) == b"new"
    assert run.journal.values.of_asset("other") is None


def test_values_go_with_their_run(run: StartedRun, database: Database) -> None:
    (nonce,) = run.issue("a")
    run.commit(Append([output(b"one"), success()], AttemptRef("a", 1), nonce))
    run.commit(Finish(event(K.RUN_SUCCESS)))
    deletions = Deletions(database)

    deletions.take_out(run.run_id)
    for left in deletions.remains():
        deletions.erase(left)

    assert values_kept(database) == 0
