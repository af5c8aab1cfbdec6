"""Deleting runs, on both databases: all of a run goes, a live one never, a kill in the middle leaves none half there."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from storage_runs import Passing, StartedRun, event, log

from engine_plans import plan_of, step
from runplane.errors import ConflictError, NotFoundError
from runplane.events.kinds import EventKind as K
from runplane.events.run import Run
from runplane.events.status import RunStatus
from runplane.storage import deletion
from runplane.storage.contract import Append, AttemptRef, Finish, Owner, RunFilter
from runplane.storage.database import Database
from runplane.storage.deletion import Deletions
from runplane.storage.dialect import Outcome, Statement
from runplane.storage.journal import Journal
from runplane.storage.postgres import PostgresDatabase
from runplane.storage.rules import Rules
from runplane.storage.runs import Runs
from runplane.storage.sqlite import SqliteDatabase
from runplane.testing.journal_contract import Story

OF_A_RUN = ("run", "run_head", "run_tag", "event", "attempt", "slot", "request", "feed")
Open = Callable[[], Database]


@pytest.fixture(params=["sqlite", "postgresql"])
def open_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    opened: list[Database] = []
    if request.param == "sqlite":
        make: Open = lambda: SqliteDatabase(tmp_path / "one.db")
    else:
        url, schema = request.getfixturevalue("session_postgres_url"), request.getfixturevalue("fresh_schema")
        make = lambda: PostgresDatabase(url, schema=schema)

    def open_one() -> Database:
        opened.append(make())
        return opened[-1]

    yield open_one
    for database in opened:
        database.close()


@pytest.fixture
def database(open_database: Open) -> Database:
    return open_database()


def finished(database: Database, *, events: int = 3, root: str | None = None) -> str:
    """A run that succeeded: tags, an attempt with an output, log lines, a request of somebody's."""
    journal = Journal(database)
    run_id = secrets.token_hex(16)
    journal.create(Run(run_id=run_id, job_name="job", tags={"k": "v"}, root_run_id=root, parent_run_id=root))
    claim = journal.claim_run(run_id, Owner("w", "h", "b", 1, 1), [], event(K.RUN_START))
    assert claim is not None
    journal.request(run_id, secrets.token_hex(8), "cancel", {})
    journal.claim(run_id, AttemptRef("a", 1), "w", event(K.STEP_WORKER_STARTED, "a", 1), make=True)
    ends = [log(str(i)) for i in range(events)]
    journal.commit(run_id, claim.epoch, 1, [Append(ends)])
    journal.finalise(run_id, claim.epoch, event(K.RUN_FAILURE), cause="LOST")
    return run_id


def rows_of(database: Database, run_id: str) -> dict[str, int]:
    """How many rows each table has of a run, those without any left out."""
    rules = Rules(database.dialect)
    found = {}
    for table in OF_A_RUN:
        text = rules.named(f"SELECT count(*) FROM {{{table}}} WHERE run_id = :run")
        found[table] = int(database.read(text, {"run": run_id})[0][0])
    return {table: count for table, count in found.items() if count}


def erase_all(database: Database) -> None:
    deletions = Deletions(database)
    for left in deletions.remains():
        deletions.erase(left)


def test_nothing_of_a_deleted_run_is_left_and_nothing_of_another_is_touched(database: Database) -> None:
    gone, stays = finished(database), finished(database)
    before = rows_of(database, stays)

    assert Deletions(database).take_out(gone) is None
    erase_all(database)

    assert rows_of(database, gone) == {}
    assert rows_of(database, stays) == before
    assert Deletions(database).remains() == []


@pytest.mark.parametrize("status", [s for s in RunStatus if s not in (RunStatus.SUSPENDED, RunStatus.MANAGED)])
def test_runs_that_are_not_over_are_kept(database: Database, status: RunStatus) -> None:
    story = Story(Journal(database)).in_status(status)
    before = rows_of(database, story.run_id)

    kept = Deletions(database).take_out(story.run_id)

    if status.is_final or status is RunStatus.NOT_STARTED:
        assert kept is None
    else:
        assert str(kept) == f"the run is {status}"
        assert rows_of(database, story.run_id) == before


def test_a_run_is_kept_while_a_re_execution_may_load_its_outputs(database: Database) -> None:
    parent = finished(database)
    sibling = finished(database, root=parent)
    journal = Journal(database)
    journal.create(Run(run_id="again", job_name="job", root_run_id=parent, parent_run_id=sibling))

    kept = Deletions(database).take_out(parent)
    kept_too = Deletions(database).take_out(sibling)
    journal.intend("again", "cancel", event(K.RUN_CANCELING), event(K.RUN_CANCELED))

    assert str(kept) == str(kept_too) == "run again of its group is not over and may need its outputs"
    assert Deletions(database).take_out(parent) is None


def test_a_run_that_is_not_there(database: Database) -> None:
    with pytest.raises(NotFoundError):
        Deletions(database).take_out("nobody")


def plans_of(database: Database) -> set[str]:
    rules = Rules(database.dialect)
    of_plans = {str(row[0]) for row in database.read(rules.named("SELECT plan_id FROM {plan}"), {})}
    of_steps = {str(row[0]) for row in database.read(rules.named("SELECT plan_id FROM {plan_step}"), {})}
    assert of_steps <= of_plans, "steps of a plan that is not there"
    return of_plans


def test_a_plan_goes_when_no_run_has_it_and_nobody_is_about_to(database: Database) -> None:
    journal, deletions = Journal(database), Deletions(database)
    plan, other = plan_of(step("a")), plan_of(step("b"))
    first, second = secrets.token_hex(16), secrets.token_hex(16)
    for run_id in (first, second):
        journal.create(Run(run_id=run_id, job_name="job", plan_id=journal.put_plan(plan)))
    journal.put_steps(plan)
    kept = journal.put_plan(other)
    journal.create(Run(run_id=secrets.token_hex(16), job_name="job", plan_id=kept))
    soon, later = time.time() + 3600, time.time() + 2 * deletion.UNUSED_S

    deletions.take_out(first)
    assert deletions.erase_unused_plans(later) == 0
    deletions.take_out(second)
    assert deletions.erase_unused_plans(soon) == 0
    assert deletions.erase_unused_plans(later) == 1

    assert plans_of(database) == {kept}


def test_a_plan_that_is_stored_again_is_in_use(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    journal, now = Journal(database), time.time()
    journal.put_plan(plan_of(step("a")))
    later = now + 2 * deletion.UNUSED_S
    monkeypatch.setattr("time.time", lambda: later - 60)

    again = journal.put_plan(plan_of(step("a")))

    assert Deletions(database).erase_unused_plans(later) == 0
    assert plans_of(database) == {again}


def test_plans_of_which_nobody_says_when_they_were_used_stay(database: Database) -> None:
    """A version before this one stores them so."""
    stored = Journal(database).put_plan(plan_of(step("a")))
    database.transact([Statement(Rules(database.dialect).named("UPDATE {plan} SET used_at = NULL"), {})])

    assert Deletions(database).erase_unused_plans(time.time() + 10 * deletion.UNUSED_S) == 0
    assert plans_of(database) == {stored}


def test_what_the_feed_has_of_a_run_is_found_by_the_run(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "one.db")

    steps = database.read("EXPLAIN QUERY PLAN DELETE FROM feed WHERE run_id = :run", {"run": "r"})

    database.close()
    assert [row[3] for row in steps] == ["SEARCH feed USING INDEX feed_by_run (run_id=?)"]


class Killed(BaseException):
    """The process ends here."""


class DiesAfter(Passing):
    """A database whose process is killed after so many transactions."""

    def __init__(self, inner: Database, transactions: int) -> None:
        super().__init__(inner)
        self.left = transactions

    def transact(self, statements: Sequence[Statement]) -> list[Outcome]:
        if self.left == 0:
            raise Killed
        self.left -= 1
        return super().transact(statements)


def test_a_kill_between_any_two_transactions_leaves_no_run_half_there(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion, "ROWS_AT_ONCE", 4)
    whole = rows_of(database, finished(database, events=10))
    is_done, after = False, 0
    while not is_done:
        run_id = finished(database, events=10)
        try:
            dying = DiesAfter(database, after)
            if Deletions(dying).take_out(run_id) is None:
                erase_all(dying)
            is_done = True
        except Killed:
            visible = any(run.run_id == run_id for run in Runs(database).page(RunFilter()).runs)
            assert visible == (after == 0), f"after {after} transactions"
            assert not visible or rows_of(database, run_id) == whole
        after += 1

        erase_all(database)
        erased = is_done or after > 1
        assert (rows_of(database, run_id) == {}) == erased, "whoever deletes next goes on"

    assert after > 5, "the events went in pieces"


def test_an_id_is_free_again_when_all_of_its_run_is_erased(database: Database) -> None:
    run_id = finished(database)
    journal = Journal(database)
    Deletions(database).take_out(run_id)

    with pytest.raises(ConflictError, match="being deleted"):
        journal.create(Run(run_id=run_id, job_name="new"))
    assert "run" not in rows_of(database, run_id)
    erase_all(database)
    journal.create(Run(run_id=run_id, job_name="new"))

    assert journal.head(run_id).head == 0


class Measured(Passing):
    """Remembers how many rows each transaction changed."""

    most = 0

    def transact(self, statements: Sequence[Statement]) -> list[Outcome]:
        outcomes = super().transact(statements)
        self.most = max(self.most, sum(o.matched for o in outcomes))
        return outcomes


def test_a_writer_beside_waits_for_small_transactions_only(
    open_database: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion, "ROWS_AT_ONCE", 50)
    database, beside = Measured(open_database()), open_database()
    big = [finished(database, events=1000) for _ in range(5)]
    live = StartedRun(Journal(beside))
    database.most, is_over = 0, threading.Event()
    written = 0

    def write() -> None:
        nonlocal written
        while not is_over.is_set() or written < 20:
            live.batch += 1
            live.journal.commit(live.run_id, live.epoch, live.batch, [Append([log(str(written))])])
            written += 1

    writer = threading.Thread(target=write)
    writer.start()
    for run_id in big:
        Deletions(database).take_out(run_id)
    erase_all(database)
    is_over.set()
    writer.join()
    live.journal.commit(live.run_id, live.epoch, live.batch + 1, [Finish(event(K.RUN_SUCCESS))])

    assert database.most <= 50
    assert [rows_of(database, run_id) for run_id in big] == [{}] * 5
    events = live.journal.tail(live.run_id, 0, 100_000)
    assert [e.body["message"] for e in events if e.kind == K.LOG] == [str(i) for i in range(written)]


def test_of_a_start_and_a_deletion_at_once_one_wins(open_database: Open) -> None:
    """A run that nobody started is claimed by a worker while it is deleted."""
    database, others = open_database(), open_database()
    journal = Journal(others)
    ids = [f"run-{i}" for i in range(30)]
    for run_id in ids:
        journal.create(Run(run_id=run_id, job_name="job"))
    started: dict[str, bool] = {}
    at_once = threading.Barrier(2)

    def start() -> None:
        for run_id in ids:
            at_once.wait()
            try:
                claim = journal.claim_run(run_id, Owner("w", "h", "b", 1, 1), [], event(K.RUN_START))
            except NotFoundError:
                claim = None
            started[run_id] = claim is not None

    worker = threading.Thread(target=start)
    worker.start()
    deleted = {}
    for run_id in ids:
        at_once.wait()
        deleted[run_id] = Deletions(database).take_out(run_id) is None
    worker.join()

    assert {run_id: not d for run_id, d in deleted.items()} == started
    for run_id in ids:
        if started[run_id]:
            assert journal.head(run_id).status is RunStatus.STARTED
        else:
            assert rows_of(database, run_id) == {"request": 1}
