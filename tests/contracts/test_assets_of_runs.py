"""What is known of assets across runs, on every database: stored with the event, found by asset, outliving the run."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from runplane.errors import DocumentError
from runplane.events.event import NewEvent
from runplane.events.kinds import EventKind as K
from runplane.events.run import Run
from runplane.storage.assets import EVALUATED, OBSERVED, Assets
from runplane.storage.database import Database
from runplane.storage.deletion import Deletions
from runplane.storage.feed import Feed
from runplane.storage.journal import Journal
from runplane.storage.postgres import PostgresDatabase
from runplane.storage.sqlite import SqliteDatabase


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    made: Database
    if request.param == "postgres":
        url = request.getfixturevalue("session_postgres_url")
        made = PostgresDatabase(url, schema=request.getfixturevalue("fresh_schema"))
    else:
        made = SqliteDatabase(None if request.param == "memory" else tmp_path / "runplane.db")
    yield made
    made.close()


def told(database: Database, *events: tuple[K, dict[str, object]]) -> str:
    """A run in whose log these events are."""
    journal = Journal(database)
    run_id = secrets.token_hex(16)
    journal.create(Run(run_id=run_id, job_name="job"))
    for kind, body in events:
        journal.annotate(run_id, [NewEvent(kind, "step", None, body, 0.0)])
    return run_id


def made(key: str, **metadata: object) -> tuple[K, dict[str, object]]:
    return K.ASSET_MATERIALIZATION, {"asset_key": key, "metadata": metadata}


def test_the_newest_of_each_kind_is_found(database: Database) -> None:
    first = told(database, made("a", n=1), made("b"))
    check = {"asset_key": "a", "check_name": "fine", "passed": True}
    second = told(
        database, made("a", n=2), (K.ASSET_OBSERVATION, {"asset_key": "a"}), (K.ASSET_CHECK_EVALUATION, check)
    )
    assets = Assets(database)

    newest = assets.latest("a")
    assert newest is not None
    assert (newest.run_id, newest.seq, newest.step, newest.metadata) == (second, 1, "step", {"n": 2})
    assert {key: event.run_id for key, event in assets.latest_of(["a", "b", "c"]).items()} == {"a": second, "b": first}
    assert assets.latest("a", OBSERVED) is not None
    assert assets.latest("a", EVALUATED) is None
    evaluated = assets.latest("a", EVALUATED, check_name="fine")
    assert evaluated is not None
    assert evaluated.body["passed"] is True
    assert assets.latest("nobody") is None


def test_keys_are_read_in_pages(database: Database) -> None:
    told(database, *(made(f"deep/k{i:02}") for i in range(7)), made("alone"), made("deeper"))
    told(database, *(made(f"deep/k{i:02}") for i in range(7)))
    assets = Assets(database)

    assert assets.keys(limit=3) == ["alone", "deep/k00", "deep/k01"]
    assert assets.keys(after="deep/k05") == ["deep/k06", "deeper"]
    assert assets.keys(prefix="deep/") == [f"deep/k{i:02}" for i in range(7)]
    assert assets.keys(prefix="deep/", after="deep/k04") == ["deep/k05", "deep/k06"]
    assert assets.keys(prefix="nothing") == []


def test_events_of_an_asset_are_read_in_pages_newest_first(database: Database) -> None:
    runs = [told(database, made("a", n=i)) for i in range(5)]
    told(database, made("b"))
    assets = Assets(database)

    first = assets.events("a", limit=2)
    second = assets.events("a", limit=2, cursor=first.cursor)
    last = assets.events("a", limit=2, cursor=second.cursor)

    seen = [event for page in (first, second, last) for event in page.events]
    assert sorted(event.run_id for event in seen) == sorted(runs)
    assert [event.at for event in seen] == sorted((event.at for event in seen), reverse=True)
    assert last.cursor is None
    with pytest.raises(DocumentError, match="not a cursor"):
        assets.events("a", cursor="x")


def test_they_are_in_the_feed_too(database: Database) -> None:
    run_id = told(database, made("a", n=1), (K.ASSET_OBSERVATION, {"asset_key": "b"}), (K.LOG, {"message": "x"}))

    items, _ = Feed(database).read()

    assert [(item.run_id, item.kind, item.body["asset_key"]) for item in items] == [
        (run_id, "ASSET_MATERIALIZATION", "a"),
        (run_id, "ASSET_OBSERVATION", "b"),
    ]


def test_a_deleted_run_takes_what_is_old_with_it_and_leaves_what_is_newest(database: Database) -> None:
    old = told(database, made("a", n=1), made("only here", n=1))
    new = told(database, made("a", n=2))
    assets, deletions = Assets(database), Deletions(database)

    for run_id in (old, new):
        assert deletions.take_out(run_id) is None
        for left in deletions.remains(run_id):
            deletions.erase(left)

    assert [event.metadata for event in assets.events("a").events] == [{"n": 2}]
    only = assets.latest("only here")
    assert only is not None
    assert only.run_id == old
