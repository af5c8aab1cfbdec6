"""What every database under ``Journal`` must do: the rules of the storage transactions, each shown by a test.

A backend's own test derives from ``JournalContract`` and gives the fixture ``open_database``::

    class TestJournalOnMine(JournalContract):
        @pytest.fixture
        def open_database(self, tmp_path):
            return lambda: MyDatabase(tmp_path / "db")

``open_database()`` opens one more connection to the same database, which is empty when the test starts. A database that has only
one connection (in memory) returns the same object again.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from ..engine.arcs import ATTEMPT_ARCS, RUN_ARCS, AttemptState
from ..engine.snapshot import StoredOutput
from ..errors import ConflictError, FencedError, NotFoundError
from ..events.event import NewEvent
from ..events.kinds import EventKind
from ..events.run import Run
from ..events.status import FINAL, RunStatus
from ..storage.contract import (
    Accepted,
    Append,
    AttemptRef,
    Beaten,
    Claimed,
    Committed,
    Finish,
    Issue,
    NotClaimed,
    Op,
    OpResult,
    Owner,
    Refused,
    RunClaim,
    Seal,
)
from ..storage.database import Database
from ..storage.deletion import Deletions
from ..storage.dialect import Outcome, Statement
from ..storage.feed import Feed
from ..storage.journal import Journal
from ..storage.pools import Pools
from ..storage.retry_requests import WILL_RETRY_TAG, RetryRequests
from ..storage.runs import Runs
from ..storage.version import VersionSkewError

K = EventKind
A1 = AttemptRef("a", 1)
A2 = AttemptRef("a", 2)
B1 = AttemptRef("b", 1)
_ids = itertools.count(1)
_stamps = itertools.count(1_700_000_000)


def event(kind: str, step: str | None = None, n: int | None = None, **body: Any) -> NewEvent:
    """An event whose time is different from that of all others, so that it can be told apart."""
    return NewEvent(kind, step, n, body, float(next(_stamps)))


def log(text: str = "hello") -> NewEvent:
    """An annotation."""
    return event(K.LOG, message=text)


def owner(name: str) -> Owner:
    """A coordinator process that exists in this test only."""
    return Owner(name, "host", "boot", 1, 1)


def run_id_of(number: int) -> str:
    """A run id."""
    return f"{number:032x}"


class LossyDatabase:
    """Sends each transaction twice, as who lost the first reply does; counts round trips.

    Args:
        loses: False: count only.
    """

    def __init__(self, inner: Database, *, loses: bool = True) -> None:
        self._inner = inner
        self._loses = loses
        self.dialect = inner.dialect
        self.where = inner.where
        self.round_trips = 0

    @property
    def connections(self) -> int:
        """See ``Database``."""
        return self._inner.connections

    def transact(self, statements: Sequence[Statement]) -> list[Outcome]:
        """See ``Database``."""
        self.round_trips += 1
        if self._loses:
            self._inner.transact(statements)
        return self._inner.transact(statements)

    def read(self, sql: str, params: Any) -> list[tuple[Any, ...]]:
        """See ``Database``."""
        self.round_trips += 1
        return self._inner.read(sql, params)

    def wait_for_news(self, timeout_s: float) -> bool:
        """See ``Database``."""
        return self._inner.wait_for_news(timeout_s)

    def wait_for_queued(self, timeout_s: float) -> bool:
        """See ``Database``."""
        return self._inner.wait_for_queued(timeout_s)

    def release(self) -> None:
        """See ``Database``."""
        self._inner.release()

    def close(self) -> None:
        """See ``Database``."""
        self._inner.close()


class Story:
    """One run and its coordinator, for tests: knows its batch numbers."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.run_id = run_id_of(next(_ids))
        self.batch = 0
        self.epoch = 0
        journal.create(Run(run_id=self.run_id, job_name="job"))

    def started(self) -> Story:
        """Claimed by its first coordinator."""
        claim = self.journal.claim_run(self.run_id, owner("first"), [], event(K.RUN_START))
        assert claim is not None
        self.epoch = claim.epoch
        return self

    def commit(self, *ops: Op) -> Committed:
        """The next batch."""
        self.batch += 1
        return self.journal.commit(self.run_id, self.epoch, self.batch, ops)

    def one(self, op: Op) -> OpResult:
        """A batch of one op."""
        return self.commit(op).results[0]

    def running(self, ref: AttemptRef, *pools: str) -> str:
        """Issue an attempt to a worker of the coordinator's own process; its nonce."""
        result = self.one(Issue(ref, pools, worker="w"))
        assert isinstance(result, Accepted)
        assert result.nonce is not None
        return result.nonce

    def ends(self, ref: AttemptRef, nonce: str, kind: EventKind = K.STEP_SUCCESS) -> OpResult:
        """Store an attempt's outcome."""
        return self.one(Append([event(kind, ref.step, ref.n)], ref, nonce))

    def in_status(self, status: RunStatus) -> Story:
        """Lead a new run to `status` in the way that runs get there."""
        s = RunStatus
        if status is s.NOT_STARTED:
            return self
        if status is s.QUEUED:
            self.journal.move(self.run_id, event(K.RUN_ENQUEUED))
            return self
        if status is s.STARTING:
            self.journal.move(self.run_id, event(K.RUN_STARTING))
            return self
        self.started()
        if status in (s.CANCELING, s.CANCELED):
            self.journal.intend(self.run_id, "cancel", event(K.RUN_CANCELING), event(K.RUN_CANCELED))
        ends = {s.SUCCESS: K.RUN_SUCCESS, s.FAILURE: K.RUN_FAILURE, s.CANCELED: K.RUN_CANCELED}
        if status in ends:
            assert isinstance(self.one(Finish(event(ends[status]))), Accepted)
        return self

    def kinds(self) -> list[str]:
        """What is stored, after a look at the numbers: from 1, without gaps."""
        events = self.journal.tail(self.run_id, 0, 100_000)
        assert [e.seq for e in events] == list(range(1, len(events) + 1))
        assert self.journal.head(self.run_id).head == len(events)
        return [str(e.kind) for e in events]

    def state(self, ref: AttemptRef) -> AttemptState | None:
        """The state in an attempt's row."""
        row = self.journal.attempt(self.run_id, ref)
        return row.state if row else None


def delete(database: Database, story: Story) -> None:
    """Delete the run, all of it."""
    deletions = Deletions(database)
    assert deletions.take_out(story.run_id) is None
    for left in deletions.remains():
        deletions.erase(left)


class JournalContract:
    """The suite. See the module's text for how to run it on a database."""

    @pytest.fixture
    def database(self, open_database: Callable[[], Database]) -> Iterator[Database]:
        """The first connection."""
        database = open_database()
        yield database
        database.close()

    @pytest.fixture
    def journal(self, database: Database) -> Journal:
        """A journal on it."""
        return Journal(database)

    @pytest.fixture
    def new(self, journal: Journal) -> Story:
        """A run that nobody has started."""
        return Story(journal)

    @pytest.fixture
    def story(self, new: Story) -> Story:
        """A run with a coordinator."""
        return new.started()

    # Making a run ---------------------------------------------------------------------------------------------------------

    def test_a_new_run_is_not_started_and_has_no_events(self, new: Story) -> None:
        head = new.journal.head(new.run_id)

        assert (head.status, head.intent, head.epoch, head.head, head.owner) == (
            RunStatus.NOT_STARTED,
            "none",
            0,
            0,
            None,
        )
        assert new.kinds() == []

    def test_create_again_does_nothing(self, journal: Journal) -> None:
        run = Run(run_id=run_id_of(next(_ids)), job_name="job", tags={"k": "v"})
        journal.create(run)
        journal.move(run.run_id, event(K.RUN_ENQUEUED))

        journal.create(run)

        assert journal.head(run.run_id).status is RunStatus.QUEUED

    def test_create_of_another_run_by_the_same_id_is_refused(self, journal: Journal) -> None:
        number = run_id_of(next(_ids))
        journal.create(Run(run_id=number, job_name="job", run_config={"a": 1}))

        with pytest.raises(ConflictError, match="there already"):
            journal.create(Run(run_id=number, job_name="job", run_config={"a": 2}))

    def test_who_asks_for_an_unknown_run_is_told(self, journal: Journal) -> None:
        with pytest.raises(NotFoundError, match="no run"):
            journal.head("nothing")
        with pytest.raises(NotFoundError, match="no run"):
            journal.annotate("nothing", [log()])
        with pytest.raises(NotFoundError, match="no run"):
            journal.commit("nothing", 1, 1, [Append([log()])])

    def test_runs_are_read_back_with_their_tags(self, database: Database, journal: Journal) -> None:
        run = Run(run_id=run_id_of(next(_ids)), job_name="job", tags={"k": "v", "x": "y"})

        journal.create(run)

        assert dict(Runs(database).get(run.run_id).tags) == {"k": "v", "x": "y"}

    def test_a_run_is_found_by_the_beginning_of_its_id_and_by_no_pattern(
        self, database: Database, journal: Journal
    ) -> None:
        run = Run(run_id=run_id_of(next(_ids)), job_name="job")
        journal.create(run)
        runs = Runs(database)

        assert runs.get(run.run_id.upper()).run_id == run.run_id
        for pattern in ("%%%%", "____", f"{run.run_id[:31]}%", run.run_id[:3]):
            with pytest.raises(NotFoundError, match="no run"):
                runs.get(pattern)

    # Statuses ---------------------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("kind", [k for k in RUN_ARCS if k not in (K.RUN_START, K.RUN_RESUMED)], ids=str)
    @pytest.mark.parametrize("status", [RunStatus.NOT_STARTED, RunStatus.QUEUED, RunStatus.STARTING], ids=str)
    def test_a_service_moves_a_run_by_the_table_of_arcs_and_not_otherwise(
        self, new: Story, status: RunStatus, kind: EventKind
    ) -> None:
        new.in_status(status)
        before = new.kinds()
        arc = RUN_ARCS[kind]

        if status in arc.sources:
            assert new.journal.move(new.run_id, event(kind)) is arc.target
            assert new.kinds() == [*before, kind.value]
        else:
            with pytest.raises(ConflictError, match=str(status)):
                new.journal.move(new.run_id, event(kind))
            assert new.kinds() == before
            assert new.journal.head(new.run_id).status is status

    @pytest.mark.parametrize("kind", RUN_ARCS, ids=str)
    @pytest.mark.parametrize("status", sorted({RunStatus.STARTED, RunStatus.CANCELING, *FINAL}), ids=str)
    def test_a_service_moves_no_run_that_has_or_had_a_coordinator(
        self, new: Story, status: RunStatus, kind: EventKind
    ) -> None:
        new.in_status(status)
        before = new.kinds()

        with pytest.raises(ConflictError):
            new.journal.move(new.run_id, event(kind))

        assert new.kinds() == before
        assert new.journal.head(new.run_id).status is status

    @pytest.mark.parametrize("kind", [k for k in EventKind if k.value.startswith("RUN_")], ids=str)
    @pytest.mark.parametrize("status", [RunStatus.STARTED, RunStatus.CANCELING], ids=str)
    def test_the_coordinator_ends_a_run_by_the_table_of_arcs(
        self, new: Story, status: RunStatus, kind: EventKind
    ) -> None:
        new.in_status(status)
        if kind not in (K.RUN_SUCCESS, K.RUN_FAILURE, K.RUN_CANCELED):
            with pytest.raises(ConflictError):
                new.commit(Finish(event(kind)))
            return

        result = new.one(Finish(event(kind)))

        assert isinstance(result, Accepted) is (status in RUN_ARCS[kind].sources)
        expected = RUN_ARCS[kind].target if isinstance(result, Accepted) else status
        assert new.journal.head(new.run_id).status is expected

    @pytest.mark.parametrize("kind", [*RUN_ARCS, *ATTEMPT_ARCS], ids=str)
    def test_services_and_openings_append_no_facts(self, new: Story, kind: EventKind) -> None:
        with pytest.raises(ConflictError):
            new.journal.annotate(new.run_id, [event(kind, "a", 1)])
        with pytest.raises(ConflictError):
            new.journal.move(new.run_id, event(K.RUN_ENQUEUED), before=[event(kind, "a", 1)])
        with pytest.raises(ConflictError):
            new.journal.claim_run(new.run_id, owner("x"), [event(kind, "a", 1)], event(K.RUN_START))
        assert new.kinds() == []

    def test_what_comes_before_a_move_is_stored_with_it_or_not_at_all(self, new: Story) -> None:
        new.journal.move(new.run_id, event(K.RUN_ENQUEUED), before=[log()])

        assert new.kinds() == ["LOG", "RUN_ENQUEUED"]

    def test_a_move_whose_reply_was_lost_is_carried_out_once(self, new: Story, database: Database) -> None:
        lossy = Journal(LossyDatabase(database))

        assert lossy.move(new.run_id, event(K.RUN_ENQUEUED), before=[log()]) is RunStatus.QUEUED
        assert lossy.move(new.run_id, event(K.RUN_STARTING)) is RunStatus.STARTING

        assert new.kinds() == ["LOG", "RUN_ENQUEUED", "RUN_STARTING"]

    def test_failure_reasons_become_tags(self, database: Database, new: Story) -> None:
        new.journal.move(new.run_id, event(K.RUN_FAILURE, tags={"dagster/failure_reason": "UNKNOWN"}))

        assert Runs(database).get(new.run_id).tags["dagster/failure_reason"] == "UNKNOWN"

    # Coordinators -----------------------------------------------------------------------------------------------------------

    def test_the_first_coordinator_gets_an_epoch(self, new: Story) -> None:
        claim = new.journal.claim_run(new.run_id, owner("one"), [log()], event(K.RUN_START))

        assert claim == RunClaim(1, 2, "1.0", False)
        assert new.kinds() == ["LOG", "RUN_START"]
        assert new.journal.head(new.run_id).owner == owner("one")

    def test_a_second_coordinator_gets_none(self, story: Story) -> None:
        assert story.journal.claim_run(story.run_id, owner("second"), [], event(K.RUN_START)) is None
        assert story.kinds() == ["RUN_START"]

    def test_a_claim_whose_reply_was_lost_gets_the_same_epoch(self, new: Story, database: Database) -> None:
        claim = Journal(LossyDatabase(database)).claim_run(new.run_id, owner("one"), [log()], event(K.RUN_START))

        assert claim is not None
        assert (claim.epoch, claim.head) == (1, 2)
        assert new.kinds() == ["LOG", "RUN_START"]

    @pytest.mark.parametrize("status", [RunStatus.QUEUED, RunStatus.CANCELING, *sorted(FINAL)], ids=str)
    def test_a_run_that_waits_for_no_worker_is_not_claimed(self, new: Story, status: RunStatus) -> None:
        new.in_status(status)

        assert new.journal.claim_run(new.run_id, owner("late"), [], event(K.RUN_START)) is None

    def test_a_canceled_launch_is_not_claimed(self, new: Story) -> None:
        new.in_status(RunStatus.STARTING)
        new.journal.intend(new.run_id, "cancel", event(K.RUN_CANCELING), event(K.RUN_CANCELED))

        assert new.journal.claim_run(new.run_id, owner("late"), [], event(K.RUN_START)) is None
        assert new.journal.head(new.run_id).status is RunStatus.CANCELING

    def test_take_over_by_an_observed_beat(self, story: Story) -> None:
        seen = story.journal.head(story.run_id)

        claim = story.journal.take_over(seen, owner("second"), event(K.RUN_RESUMED))

        assert claim == RunClaim(2, 2, "1.0", True)
        now = story.journal.head(story.run_id)
        assert (now.status, now.resumes, now.owner) == (RunStatus.STARTED, 1, owner("second"))

    def test_no_take_over_when_the_beat_went_on(self, story: Story) -> None:
        seen = story.journal.head(story.run_id)
        story.journal.beat(story.run_id, story.epoch)

        assert story.journal.take_over(seen, owner("second"), event(K.RUN_RESUMED)) is None
        assert story.kinds() == ["RUN_START"]

    def test_one_of_two_takers_wins(self, story: Story) -> None:
        seen = story.journal.head(story.run_id)

        claims = [story.journal.take_over(seen, owner(name), event(K.RUN_RESUMED)) for name in ("second", "third")]

        assert [c is not None for c in claims] == [True, False]

    def test_a_take_over_whose_reply_was_lost(self, story: Story, database: Database) -> None:
        seen = story.journal.head(story.run_id)

        claim = Journal(LossyDatabase(database)).take_over(seen, owner("second"), event(K.RUN_RESUMED))

        assert claim is not None
        assert claim.epoch == 2
        assert story.journal.head(story.run_id).resumes == 1

    @pytest.mark.parametrize("status", sorted(FINAL), ids=str)
    def test_a_run_that_is_over_is_not_taken_over(self, new: Story, status: RunStatus) -> None:
        new.in_status(status)

        assert new.journal.take_over(new.journal.head(new.run_id), owner("x"), event(K.RUN_RESUMED)) is None

    @pytest.mark.parametrize(("level", "allowed"), [("1.0", True), ("1.9", True), ("2.0", False)])
    def test_a_run_of_a_later_major_version_is_not_taken_over(self, story: Story, level: str, allowed: bool) -> None:
        seen = replace(story.journal.head(story.run_id), level=level)

        if allowed:
            assert story.journal.take_over(seen, owner("second"), event(K.RUN_RESUMED)) is not None
        else:
            with pytest.raises(VersionSkewError, match=r"got protocol 2\.0, expected protocol 1\.0"):
                story.journal.take_over(seen, owner("second"), event(K.RUN_RESUMED))

    def test_a_take_over_keeps_canceling(self, new: Story) -> None:
        new.in_status(RunStatus.CANCELING)

        new.journal.take_over(new.journal.head(new.run_id), owner("second"), event(K.RUN_RESUMED))

        assert new.journal.head(new.run_id).status is RunStatus.CANCELING

    def test_the_one_that_was_replaced_is_fenced(self, story: Story) -> None:
        story.journal.take_over(story.journal.head(story.run_id), owner("second"), event(K.RUN_RESUMED))
        before = story.kinds()

        with pytest.raises(FencedError, match="took the run over"):
            story.commit(Append([log()]), Issue(A1))
        with pytest.raises(FencedError):
            story.journal.beat(story.run_id, story.epoch)
        story.journal.give_up(story.run_id, story.epoch)

        assert story.kinds() == before
        assert story.journal.head(story.run_id).owner == owner("second")

    def test_a_batch_number_of_the_old_epoch_does_not_pass_in_the_new_one(self, story: Story) -> None:
        for _ in range(3):
            story.commit(Append([log()]))
        story.journal.take_over(story.journal.head(story.run_id), owner("second"), event(K.RUN_RESUMED))

        done = story.journal.commit(story.run_id, 2, 1, [Append([log("new")])])

        assert done.results == (Accepted(6),)

    def test_beat_tells_status_and_intent(self, story: Story) -> None:
        before = story.journal.head(story.run_id).beat

        assert story.journal.beat(story.run_id, story.epoch) == Beaten(RunStatus.STARTED, "none", 1)
        assert story.journal.head(story.run_id).beat == before + 1

    def test_a_run_that_was_given_up_has_no_owner(self, story: Story) -> None:
        story.journal.give_up(story.run_id, story.epoch)

        seen = story.journal.head(story.run_id)
        assert seen.owner is None
        assert story.journal.take_over(seen, owner("second"), event(K.RUN_RESUMED)) is not None

    # Batches ----------------------------------------------------------------------------------------------------------------

    def test_each_op_of_a_batch_is_accepted_or_refused_by_itself(self, story: Story) -> None:
        nonce = story.running(A1)
        story.ends(A1, nonce)

        done = story.commit(
            Append([log("one"), log("two")]),
            Seal(A1, "lost", "it is gone"),
            Issue(B1, worker="w"),
            Issue(A2),
            Append([event(K.STEP_SUCCESS, "b", 1)], B1, "wrong nonce"),
            Append([log("three")]),
        )

        first = done.first
        assert [type(r).__name__ for r in done.results] == [
            "Accepted",
            "Refused",
            "Accepted",
            "Refused",
            "Refused",
            "Accepted",
        ]
        assert [r.first for r in done.results if isinstance(r, Accepted)] == [first, first + 2, first + 4]
        assert [r.why for r in done.results if isinstance(r, Refused)] == ["done", "exists", "running"]
        assert story.kinds()[first - 1 :] == ["LOG", "LOG", "STEP_ISSUED", "STEP_WORKER_STARTED", "LOG"]
        assert done.head == first + 4

    def test_a_batch_whose_reply_was_lost_gets_the_same_answer_and_is_carried_out_once(
        self, story: Story, database: Database
    ) -> None:
        nonce = story.running(A1)
        story.ends(A1, nonce)
        lossy = Story.__new__(Story)
        lossy.__dict__.update(story.__dict__, journal=Journal(LossyDatabase(database)))
        before = len(story.kinds())

        done = lossy.commit(
            Append([log("one")]),
            Seal(A1, "lost", "gone"),
            Issue(B1, worker="w"),
            Issue(A1, worker="w"),
            Append([]),
            Finish(event(K.RUN_SUCCESS)),
        )

        row = story.journal.attempt(story.run_id, B1)
        assert row is not None
        assert row.state is AttemptState.RUNNING
        ok = done.results[2]
        assert isinstance(ok, Accepted)
        assert ok.nonce
        assert done.results == (
            Accepted(before + 1),
            Refused("done", ("STEP_SUCCESS",)),
            Accepted(before + 2, ok.nonce),
            Refused("exists", ("done",)),
            Accepted(before + 4),
            Refused("open_attempts", ("b",)),
        )
        assert len(story.kinds()) == before + 3

    def test_the_nonce_of_a_repeated_batch_writes(self, story: Story, database: Database) -> None:
        lossy = Story.__new__(Story)
        lossy.__dict__.update(story.__dict__, journal=Journal(LossyDatabase(database)))

        nonce = lossy.running(A1)

        assert isinstance(lossy.ends(A1, nonce), Accepted)
        assert story.kinds() == ["RUN_START", "STEP_ISSUED", "STEP_WORKER_STARTED", "STEP_SUCCESS"]

    def test_a_repeated_batch_is_not_confused_by_what_others_wrote_meanwhile(self, story: Story) -> None:
        ops: list[Op] = [Append([log("mine")]), Seal(A1, "lost", "never issued")]
        first = story.commit(*ops)
        story.journal.annotate(story.run_id, [log("theirs")])

        again = story.journal.commit(story.run_id, story.epoch, story.batch, ops)

        assert again.results == first.results == (Accepted(2), Refused("no_such_attempt"))
        assert again.head == 3
        assert story.kinds() == ["RUN_START", "LOG", "LOG"]

    def test_an_older_batch_is_refused(self, story: Story) -> None:
        story.commit(Append([log()]))
        story.commit(Append([log()]))

        with pytest.raises(ConflictError, match="numbered"):
            story.journal.commit(story.run_id, story.epoch, 1, [Append([log()])])
        assert story.kinds() == ["RUN_START", "LOG", "LOG"]

    @pytest.mark.parametrize("status", sorted(FINAL), ids=str)
    def test_the_coordinator_of_a_run_that_is_over_is_told(self, new: Story, status: RunStatus) -> None:
        new.in_status(status)
        before = new.kinds()

        with pytest.raises(ConflictError, match=str(status)):
            new.commit(Append([log()]))
        assert new.kinds() == before

    def test_events_come_back_as_they_were_written(self, story: Story) -> None:
        written = event(
            K.LOG,
            "a",
            1,
            message="Grüße \u2603 'quoted' \"double\" \\ %s :name {brace}",
            level=20,
            nested={"x": [1, 2.5, None]},
        )

        done = story.commit(Append([written]))

        stored = story.journal.tail(story.run_id, 1)[0]
        assert (stored.kind, stored.step, stored.n, stored.body) == ("LOG", "a", 1, written.body)
        assert stored.written_at == written.written_at
        assert stored.at == done.at
        assert stored.seq == 2

    def test_the_clock_of_a_run_never_falls(self, story: Story) -> None:
        for _ in range(5):
            story.commit(Append([log()]))

        times = [e.at for e in story.journal.tail(story.run_id, 0)]
        assert times == sorted(times)
        assert abs(times[-1] - time.time()) < 60

    def test_a_batch_has_a_limit(self, story: Story) -> None:
        done = story.commit(*[Append([log()]) for _ in range(998)])
        assert [r for r in done.results if not isinstance(r, Accepted)] == []
        assert len(story.kinds()) == 999

        with pytest.raises(ConflictError, match="too many"):
            story.commit(*[Append([log()]) for _ in range(999)])

    def test_tail_goes_on_from_a_number(self, story: Story) -> None:
        story.commit(Append([log(str(i)) for i in range(10)]))

        pages = [story.journal.tail(story.run_id, after, 4) for after in (0, 4, 8, 11)]

        assert [[e.seq for e in p] for p in pages] == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11], []]

    def test_what_is_accepted_takes_one_round_trip(self, story: Story, database: Database) -> None:
        counting = LossyDatabase(database, loses=False)
        story.journal = Journal(counting)

        def trips(call: Callable[[], object]) -> int:
            before = counting.round_trips
            call()
            return counting.round_trips - before

        assert (
            trips(
                lambda: story.commit(
                    Append([log()] * 4), Issue(A1, ("x",)), Issue(B1, worker="w"), Seal(B1, "lost", "gone")
                )
            )
            == 1
        )
        assert trips(lambda: self.claim(story)) == 1
        row = story.journal._nonce_of(story.run_id, Issue(A1, worker="pod"))
        assert (
            trips(
                lambda: story.journal.append_as_attempt(story.run_id, A1, row or "", 1, [event(K.STEP_SUCCESS, "a", 1)])
            )
            == 1
        )
        assert trips(lambda: story.journal.annotate(story.run_id, [log()])) == 1
        assert trips(lambda: story.journal.beat(story.run_id, story.epoch)) == 1
        assert trips(lambda: story.commit(Finish(event(K.RUN_SUCCESS)))) == 1

    # Arcs of attempts ---------------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("kind", [K.STEP_ISSUED, K.STEP_WORKER_STARTED, K.STEP_SEALED, *RUN_ARCS], ids=str)
    def test_what_has_an_operation_of_its_own_is_not_appended(self, story: Story, kind: EventKind) -> None:
        nonce = story.running(A1)

        with pytest.raises(ConflictError):
            story.commit(Append([event(kind, "a", 1)]))
        with pytest.raises(ConflictError):
            story.commit(Append([event(kind, "a", 1)], A1, nonce))
        assert story.kinds() == ["RUN_START", "STEP_ISSUED", "STEP_WORKER_STARTED"]

    @pytest.mark.parametrize("kind", [K.STEP_OUTPUT, K.STEP_SUCCESS, K.STEP_FAILURE, K.STEP_UP_FOR_RETRY], ids=str)
    @pytest.mark.parametrize("state", ["none", "issued", "running", "done", "sealed"])
    def test_who_may_move_an_attempt_from_where(self, story: Story, state: str, kind: EventKind) -> None:
        nonce = "guess"
        if state == "issued":
            story.one(Issue(A1))
        elif state != "none":
            nonce = story.running(A1)
        if state == "done":
            story.ends(A1, nonce)
        elif state == "sealed":
            story.one(Seal(A1, "lost", "gone"))
        before = story.kinds()

        itself = story.one(Append([event(kind, "a", 1)], A1, nonce))
        if state != "running":
            assert isinstance(itself, Refused)
            assert story.kinds() == before
        else:
            assert isinstance(itself, Accepted)
            return
        if kind in (K.STEP_OUTPUT, K.STEP_SUCCESS):
            with pytest.raises(ConflictError, match="for the attempt itself"):
                story.commit(Append([event(kind, "a", 1)]))
            return
        coordinator = story.one(Append([event(kind, "a", 1)]))
        assert isinstance(coordinator, Accepted) is (state == "sealed")

    def test_one_outcome_and_no_second(self, story: Story) -> None:
        nonce = story.running(A1)

        with pytest.raises(ConflictError, match="makes no sense after done"):
            story.commit(Append([event(K.STEP_SUCCESS, "a", 1), event(K.STEP_FAILURE, "a", 1)], A1, nonce))
        both = story.commit(
            Append([event(K.STEP_SUCCESS, "a", 1)], A1, nonce), Append([event(K.STEP_FAILURE, "a", 1)], A1, nonce)
        )

        assert [type(r).__name__ for r in both.results] == ["Accepted", "Refused"]
        assert story.kinds()[-1] == "STEP_SUCCESS"

    def test_an_attempt_writes_facts_of_its_own_only(self, story: Story) -> None:
        nonce = story.running(A1)
        story.running(B1)

        with pytest.raises(ConflictError, match="own only"):
            story.commit(Append([event(K.STEP_SUCCESS, "b", 1)], A1, nonce))

    def test_a_step_that_was_never_issued_ends_once(self, story: Story) -> None:
        assert isinstance(story.one(Append([event(K.STEP_SKIPPED, "a")])), Accepted)

        assert isinstance(story.one(Append([event(K.STEP_SKIPPED, "a")])), Refused)
        assert isinstance(story.one(Append([event(K.STEP_ABANDONED, "a")])), Refused)
        assert isinstance(story.one(Issue(A1)), Refused)
        assert story.kinds() == ["RUN_START", "STEP_SKIPPED"]

    def test_a_step_that_was_issued_is_not_skipped(self, story: Story) -> None:
        nonce = story.running(A1)
        assert isinstance(story.one(Append([event(K.STEP_SKIPPED, "a")])), Refused)
        assert isinstance(story.one(Append([event(K.STEP_ABANDONED, "a")])), Refused)

        story.ends(A1, nonce, K.STEP_UP_FOR_RETRY)

        assert isinstance(story.one(Append([event(K.STEP_SKIPPED, "a")])), Refused)
        assert isinstance(story.one(Append([event(K.STEP_ABANDONED, "a")])), Accepted)

    # Issuing ------------------------------------------------------------------------------------------------------------------

    def test_issue_and_claim_in_one(self, story: Story) -> None:
        done = story.commit(Issue(A1, retry_number=3, worker="w", claim_body={"message": "go"}))

        assert isinstance(done.results[0], Accepted)
        row = story.journal.attempt(story.run_id, A1)
        assert row is not None
        assert (row.state, row.worker, row.retry_number) == (AttemptState.RUNNING, "w", 3)
        assert story.journal.tail(story.run_id, 2)[0].body == {"message": "go"}

    def test_no_attempt_is_issued_twice_or_backwards(self, story: Story) -> None:
        nonce = story.running(A2)
        story.ends(A2, nonce, K.STEP_UP_FOR_RETRY)

        assert story.one(Issue(A2)) == Refused("exists", ("done",))
        assert story.one(Issue(A1)) == Refused("exists", ("done",))
        assert isinstance(story.one(Issue(AttemptRef("a", 3))), Accepted)

    @pytest.mark.parametrize("claimed", [True, False])
    def test_no_second_attempt_while_one_is_open(self, story: Story, claimed: bool) -> None:
        story.one(Issue(A1, worker="w" if claimed else None))

        assert story.one(Issue(A2)) == Refused("open_attempts", ("a",))
        story.one(Seal(A1, "lost", "gone"))
        assert isinstance(story.one(Issue(A2)), Accepted)

    @pytest.mark.parametrize("kind", [K.STEP_SUCCESS, K.STEP_FAILURE], ids=str)
    def test_no_other_attempt_after_the_steps_end(self, story: Story, kind: EventKind) -> None:
        story.ends(A1, story.running(A1), kind)

        assert story.one(Issue(A2)) == Refused("exists", ("done",))

    def test_nothing_is_issued_once_the_run_is_to_end(self, story: Story) -> None:
        story.journal.intend(story.run_id, "cancel", event(K.RUN_CANCELING), event(K.RUN_CANCELED))

        assert story.one(Issue(A1)) == Refused("run_is_ending", ("cancel",))

    def test_slots_of_several_pools_are_taken_all_or_none(self, story: Story, database: Database) -> None:
        pools = Pools(database)
        pools.set_limit("x", 2)
        pools.set_limit("y", 1)
        story.running(A1, "x", "y")

        assert story.one(Issue(B1, ("x", "y"))) == Refused("pool_full", ("x", "y"))

        assert story.state(B1) is None
        assert {p.name: p.used for p in pools.usage()} == {"x": 1, "y": 1}

    def test_notes_of_an_issue_are_stored_with_it_or_not_at_all(self, story: Story, database: Database) -> None:
        Pools(database).set_limit("x", 1)

        taken = story.one(Issue(A1, ("x",), worker="w", notes=[log("for a")]))
        refused = story.one(Issue(B1, ("x",), worker="w", notes=[log("for b")]))

        assert isinstance(taken, Accepted)
        assert isinstance(refused, Refused)
        assert story.kinds()[1:] == ["STEP_ISSUED", "LOG", "STEP_WORKER_STARTED"]
        assert [e.body["message"] for e in story.journal.history(story.run_id) if e.kind == "LOG"] == ["for a"]

    @pytest.mark.parametrize("how", ["success", "failure", "retry", "seal"])
    def test_slots_are_freed_in_the_transaction_that_ends_the_attempt(
        self, story: Story, database: Database, how: str
    ) -> None:
        pools = Pools(database)
        pools.set_limit("x", 1)
        nonce = story.running(A1, "x")
        kinds = {"success": K.STEP_SUCCESS, "failure": K.STEP_FAILURE, "retry": K.STEP_UP_FOR_RETRY}
        end = Seal(A1, "lost", "gone") if how == "seal" else Append([event(kinds[how], "a", 1)], A1, nonce)

        done = story.commit(Issue(B1, ("x",)), end)
        assert isinstance(done.results[0], Refused)
        assert pools.get("x").used == 0
        assert isinstance(story.one(Issue(B1, ("x",))), Accepted)

    def test_a_slot_passes_from_one_step_to_the_next_in_one_batch(self, story: Story, database: Database) -> None:
        Pools(database).set_limit("x", 1)
        nonce = story.running(A1, "x")

        done = story.commit(Append([event(K.STEP_SUCCESS, "a", 1)], A1, nonce), Issue(B1, ("x",), worker="w"))

        assert isinstance(done.results[1], Accepted)
        assert [h.step for h in Pools(database).holders("x")] == ["b"]

    def test_two_journals_of_one_coordinator_free_what_either_took(self, story: Story, database: Database) -> None:
        Pools(database).set_limit("x", 1)
        first, story.journal = story.journal, Journal(database)
        nonce = story.running(A1, "x")
        story.journal = first

        story.ends(A1, nonce)

        assert Pools(database).get("x").used == 0

    def test_an_attempt_that_writes_for_itself_frees_its_slots_too(self, story: Story, database: Database) -> None:
        pools = Pools(database)
        pools.set_limit("x", 1)
        story.one(Issue(A1, ("x",)))
        claimed = story.journal.claim(story.run_id, A1, "pod", event(K.STEP_WORKER_STARTED, "a", 1))
        assert isinstance(claimed, Claimed)

        story.journal.append_as_attempt(story.run_id, A1, claimed.nonce, 1, [event(K.STEP_SUCCESS, "a", 1)])

        assert pools.get("x").used == 0

    def test_slots_that_a_coordinator_took_are_freed_by_the_one_after_it(
        self, story: Story, open_database: Callable[[], Database]
    ) -> None:
        pools = Pools(story.journal.database)
        pools.set_limit("x", 1)
        story.running(A1, "x")
        second = Journal(open_database())
        claim = second.take_over(second.head(story.run_id), owner("second"), event(K.RUN_RESUMED))
        assert claim is not None

        second.commit(story.run_id, claim.epoch, 1, [Seal(A1, "lost", "gone")])

        assert pools.get("x").used == 0

    def test_two_runs_share_a_pool(self, journal: Journal, open_database: Callable[[], Database]) -> None:
        Pools(journal.database).set_limit("x", 1)
        one, two = Story(journal).started(), Story(Journal(open_database())).started()
        nonce = one.running(A1, "x")

        assert isinstance(two.one(Issue(A1, ("x",))), Refused)
        one.ends(A1, nonce)
        assert isinstance(two.one(Issue(A1, ("x",))), Accepted)

    def test_a_pool_that_nobody_set_has_the_default_limit(self, database: Database) -> None:
        story = Story(Journal(database, default_pool_slots=1)).started()
        story.running(A1, "fresh")

        assert isinstance(story.one(Issue(B1, ("fresh",))), Refused)

    def test_a_pool_without_any_limit_is_never_full(self, story: Story) -> None:
        for i in range(5):
            story.running(AttemptRef(f"s{i}", 1), "open")

        assert Pools(story.journal.database).get("open").used == 5

    # Sealing, ending ------------------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("claimed", [True, False])
    def test_seal_kills_the_nonce(self, story: Story, claimed: bool) -> None:
        result = story.one(Issue(A1, worker="w" if claimed else None))
        assert isinstance(result, Accepted)

        assert isinstance(story.one(Seal(A1, "lost", "its pod is gone")), Accepted)

        assert isinstance(story.ends(A1, result.nonce or "x"), Refused)
        assert story.state(A1) is AttemptState.SEALED
        row = story.journal.attempt(story.run_id, A1)
        assert row is not None
        assert row.cause == "lost"

    def test_seal_returns_the_outcome_that_was_recorded(self, story: Story) -> None:
        story.ends(A1, story.running(A1), K.STEP_UP_FOR_RETRY)

        assert story.one(Seal(A1, "lost", "gone")) == Refused("done", ("STEP_UP_FOR_RETRY",))
        assert story.state(A1) is AttemptState.DONE

    def test_what_is_sealed_is_sealed_once(self, story: Story) -> None:
        story.running(A1)
        story.one(Seal(A1, "lost", "gone"))

        assert story.one(Seal(A1, "lost", "gone")) == Refused("sealed")
        assert story.one(Seal(B1, "lost", "gone")) == Refused("no_such_attempt")

    def test_the_coordinator_says_how_a_sealed_attempt_ended(self, story: Story) -> None:
        story.running(A1)

        done = story.commit(Seal(A1, "lost", "gone"), Append([event(K.STEP_FAILURE, "a", 1, cause="lost")]))

        assert all(isinstance(r, Accepted) for r in done.results)
        row = story.journal.attempt(story.run_id, A1)
        assert row is not None
        assert (row.state, row.outcome, row.cause) == (AttemptState.DONE, "STEP_FAILURE", "lost")

    def test_a_run_does_not_end_while_an_attempt_is_open(self, story: Story) -> None:
        nonce = story.running(A1)
        story.one(Issue(B1))

        refused = story.one(Finish(event(K.RUN_SUCCESS)))
        assert refused == Refused("open_attempts", ("a", "b"))
        assert story.journal.head(story.run_id).status is RunStatus.STARTED

        done = story.commit(
            Append([event(K.STEP_SUCCESS, "a", 1)], A1, nonce), Seal(B1, "lost", "gone"), Finish(event(K.RUN_FAILURE))
        )
        assert isinstance(done.results[-1], Accepted)
        assert done.status is RunStatus.FAILURE

    def test_a_run_that_is_to_be_canceled_does_not_succeed(self, story: Story) -> None:
        story.journal.intend(story.run_id, "cancel", event(K.RUN_CANCELING), event(K.RUN_CANCELED))

        assert story.one(Finish(event(K.RUN_SUCCESS))) == Refused("run_is_ending")
        assert isinstance(story.one(Finish(event(K.RUN_CANCELED))), Accepted)

    # Attempts that write for themselves -------------------------------------------------------------------------------------------

    def claim(
        self, story: Story, ref: AttemptRef = A1, worker: str = "pod", *, make: bool = False
    ) -> Claimed | NotClaimed:
        """Claim an attempt as a step's process does."""
        started = event(K.STEP_WORKER_STARTED, ref.step, ref.n)
        return story.journal.claim(story.run_id, ref, worker, started, make=make)

    def test_a_worker_claims_an_issued_attempt(self, story: Story) -> None:
        story.one(Issue(A1, retry_number=2))

        claimed = self.claim(story)

        assert isinstance(claimed, Claimed)
        assert (claimed.n, claimed.retry_number, claimed.epoch) == (1, 2, story.epoch)
        assert story.kinds() == ["RUN_START", "STEP_ISSUED", "STEP_WORKER_STARTED"]

    def test_the_same_worker_gets_the_same_nonce_again(self, story: Story) -> None:
        story.one(Issue(A1))

        assert self.claim(story) == self.claim(story)
        assert story.kinds() == ["RUN_START", "STEP_ISSUED", "STEP_WORKER_STARTED"]

    def test_another_worker_is_a_duplicate(self, story: Story) -> None:
        story.one(Issue(A1))
        self.claim(story)

        assert self.claim(story, worker="other") == NotClaimed("duplicate", "pod")

    @pytest.mark.parametrize(("level", "allowed"), [("1.0", True), ("1.9", True), ("2.0", False)])
    def test_a_worker_of_an_earlier_major_version_is_refused(
        self, story: Story, database: Database, level: str, allowed: bool
    ) -> None:
        story.one(Issue(A1))
        sql = story.journal.rules.named("UPDATE {run_head} SET level = :level WHERE run_id = :run")
        database.transact([Statement(sql, {"run": story.run_id, "level": level})])

        if allowed:
            assert isinstance(self.claim(story), Claimed)
        else:
            with pytest.raises(VersionSkewError, match=r"got protocol 2\.0, expected protocol 1\.0"):
                self.claim(story)
            assert story.kinds() == ["RUN_START", "STEP_ISSUED"]

    def test_a_done_attempt_is_not_claimed(self, story: Story) -> None:
        story.ends(A1, story.running(A1))

        assert self.claim(story) == NotClaimed("done", "STEP_SUCCESS")

    def test_a_sealed_attempt_is_revoked(self, story: Story) -> None:
        story.one(Issue(A1))
        story.one(Seal(A1, "lost", "gone"))

        refused = self.claim(story)
        assert isinstance(refused, NotClaimed)
        assert refused.why == "revoked"

    def test_nothing_is_claimed_in_a_run_that_is_to_end_or_that_has_not_begun(self, new: Story) -> None:
        refused = self.claim(new, make=True)
        assert isinstance(refused, NotClaimed)
        assert refused.why == "revoked"

        new.started()
        new.one(Issue(A1))
        new.journal.intend(new.run_id, "cancel", event(K.RUN_CANCELING), event(K.RUN_CANCELED))
        refused = self.claim(new)
        assert isinstance(refused, NotClaimed)
        assert refused.why == "revoked"

    def test_an_attempt_that_nobody_issued_is_not_claimed_but_may_be_made(self, story: Story) -> None:
        refused = self.claim(story)
        assert isinstance(refused, NotClaimed)
        assert refused.why == "revoked"

        claimed = self.claim(story, A2, make=True)
        assert isinstance(claimed, Claimed)
        assert (claimed.n, claimed.retry_number) == (2, 1)
        assert self.claim(story, A2, make=True) == claimed
        # Issued like any other: who takes the run over knows the attempt from the events alone.
        assert story.kinds() == ["RUN_START", "STEP_ISSUED", "STEP_WORKER_STARTED"]
        assert self.claim(story, A2, "other", make=True) == NotClaimed("duplicate", "pod")

    def test_no_attempt_is_made_while_an_older_one_is_open(self, story: Story) -> None:
        story.one(Issue(A1))
        self.claim(story)

        assert self.claim(story, A2, "other", make=True) == NotClaimed("duplicate", "pod")

    def test_an_attempt_appends_its_events(self, story: Story) -> None:
        story.one(Issue(A1))
        claimed = self.claim(story)
        assert isinstance(claimed, Claimed)

        assert story.journal.append_as_attempt(story.run_id, A1, claimed.nonce, 1, [event(K.STEP_START, "a", 1)])
        assert story.journal.append_as_attempt(story.run_id, A1, claimed.nonce, 2, [event(K.STEP_SUCCESS, "a", 1)])

        assert story.state(A1) is AttemptState.DONE

    def test_a_batch_of_an_attempt_is_stored_once(self, story: Story, database: Database) -> None:
        nonce = story.running(A1)
        lossy = Journal(LossyDatabase(database))
        before = len(story.kinds())

        assert lossy.append_as_attempt(story.run_id, A1, nonce, 1, [log(), log()])
        assert lossy.append_as_attempt(story.run_id, A1, nonce, 2, [event(K.STEP_SUCCESS, "a", 1)])
        assert lossy.append_as_attempt(story.run_id, A1, nonce, 2, [event(K.STEP_SUCCESS, "a", 1)])

        assert story.kinds()[before:] == ["LOG", "LOG", "STEP_SUCCESS"]

    def test_a_refused_batch_stays_refused(self, story: Story, database: Database) -> None:
        nonce = story.running(A1)
        journal = story.journal
        assert journal.append_as_attempt(story.run_id, A1, nonce, 1, [event(K.STEP_SUCCESS, "a", 1)])
        before = story.kinds()

        for _ in range(2):
            assert not journal.append_as_attempt(story.run_id, A1, nonce, 2, [event(K.STEP_FAILURE, "a", 1)])
        assert not Journal(LossyDatabase(database)).append_as_attempt(
            story.run_id, A1, nonce, 3, [event(K.STEP_OUTPUT, "a", 1)]
        )

        assert story.kinds() == before

    def test_after_its_outcome_an_attempt_appends_annotations_only(self, story: Story) -> None:
        nonce = story.running(A1)
        journal = story.journal
        journal.append_as_attempt(story.run_id, A1, nonce, 1, [event(K.STEP_SUCCESS, "a", 1)])

        assert journal.append_as_attempt(story.run_id, A1, nonce, 2, [event(K.HOOK_COMPLETED, "a", 1)])
        assert not journal.append_as_attempt(story.run_id, A1, nonce, 3, [event(K.STEP_OUTPUT, "a", 1)])
        assert not journal.append_as_attempt(story.run_id, A1, nonce, 3, [log(), event(K.STEP_FAILURE, "a", 1)])

        assert story.kinds()[-1] == "HOOK_COMPLETED"

    def test_a_sealed_attempt_appends_nothing(self, story: Story) -> None:
        nonce = story.running(A1)
        story.one(Seal(A1, "lost", "gone"))
        before = story.kinds()

        assert not story.journal.append_as_attempt(story.run_id, A1, nonce, 1, [log()])
        assert not story.journal.append_as_attempt(story.run_id, A1, "guess", 1, [log()])
        assert story.kinds() == before

    def test_an_attempt_survives_the_take_over_of_its_run(self, story: Story) -> None:
        nonce = story.running(A1)
        story.journal.take_over(story.journal.head(story.run_id), owner("second"), event(K.RUN_RESUMED))

        assert story.journal.append_as_attempt(story.run_id, A1, nonce, 1, [event(K.STEP_SUCCESS, "a", 1)])

    # Intent, requests, annotations ---------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("status", [RunStatus.NOT_STARTED, RunStatus.QUEUED], ids=str)
    def test_a_run_that_no_worker_has_seen_is_canceled_at_once(self, new: Story, status: RunStatus) -> None:
        new.in_status(status)

        head = new.journal.intend(new.run_id, "cancel", event(K.RUN_CANCELING), event(K.RUN_CANCELED))

        assert (head.status, head.intent) == (RunStatus.CANCELED, "cancel")
        assert new.kinds()[-2:] == ["RUN_CANCELING", "RUN_CANCELED"]

    @pytest.mark.parametrize("status", [RunStatus.STARTING, RunStatus.STARTED], ids=str)
    def test_a_run_with_a_worker_is_canceling(self, new: Story, status: RunStatus) -> None:
        new.in_status(status)

        head = new.journal.intend(new.run_id, "cancel", event(K.RUN_CANCELING), event(K.RUN_CANCELED))
        again = new.journal.intend(new.run_id, "deadline", event(K.RUN_CANCELING), event(K.RUN_CANCELED))

        assert head == again
        assert (head.status, head.intent) == (RunStatus.CANCELING, "cancel")
        assert new.kinds().count("RUN_CANCELING") == 1

    @pytest.mark.parametrize("status", sorted(FINAL), ids=str)
    def test_a_run_that_is_over_stays_as_it_is(self, new: Story, status: RunStatus) -> None:
        new.in_status(status)
        before = new.kinds()

        head = new.journal.intend(new.run_id, "cancel", event(K.RUN_CANCELING), event(K.RUN_CANCELED))

        assert head.status is status
        assert new.kinds() == before

    @pytest.mark.parametrize("loses", [False, True], ids=["sent once", "sent twice"])
    def test_a_retry_is_asked_for_once_in_the_transaction_that_ends_the_run(
        self, story: Story, database: Database, loses: bool
    ) -> None:
        sent = LossyDatabase(database, loses=loses)
        story.journal = Journal(sent)

        story.one(Finish(event(K.RUN_FAILURE, tags={WILL_RETRY_TAG: "true"})))

        assert loses or sent.round_trips == 1, "between two transactions a retry can be lost"
        assert self.retries_of(story, database) == 1

    def test_an_end_that_is_refused_asks_for_no_retry(self, story: Story, database: Database) -> None:
        story.running(A1)

        refused = story.one(Finish(event(K.RUN_FAILURE, tags={WILL_RETRY_TAG: "true"})))

        assert isinstance(refused, Refused)
        assert self.retries_of(story, database) == 0

    @staticmethod
    def retries_of(story: Story, database: Database) -> int:
        """How many retries were asked for after a run."""
        return [request.run_id for request in RetryRequests(database).open(10_000)].count(story.run_id)

    def test_a_request_is_stored_once(self, story: Story) -> None:
        assert story.journal.request(story.run_id, f"{story.run_id}-cancel", "cancel", {"by": "me"}) is True
        assert story.journal.request(story.run_id, f"{story.run_id}-cancel", "cancel", {"by": "me"}) is False

    def test_the_coordinator_hears_of_a_request_when_it_beats(self, story: Story) -> None:
        another = run_id_of(next(_ids))
        story.journal.request(story.run_id, f"{story.run_id}-retry", "retry", {})
        story.journal.request(another, f"{another}-cancel", "cancel", {})
        before = story.journal.beat(story.run_id, story.epoch)
        story.journal.request(story.run_id, f"{story.run_id}-cancel", "cancel", {})

        after = story.journal.beat(story.run_id, story.epoch)

        assert (before.cancel_requested, after.cancel_requested) == (False, True)
        assert after.intent == "none"

    @pytest.mark.parametrize("status", sorted(FINAL), ids=str)
    def test_annotations_are_taken_after_the_end(self, new: Story, status: RunStatus) -> None:
        new.in_status(status)

        assert new.journal.annotate(new.run_id, [event(K.ENGINE_EVENT)]) == len(new.kinds())
        assert new.journal.head(new.run_id).status is status

    def test_annotations_whose_reply_was_lost_are_stored_once(self, story: Story, database: Database) -> None:
        lossy = Journal(LossyDatabase(database))
        twice = log("the same words")

        assert lossy.annotate(story.run_id, [twice, log()]) == 3
        assert lossy.annotate(story.run_id, [twice._replace(written_at=twice.written_at + 1)]) == 4

        assert story.kinds() == ["RUN_START", "LOG", "LOG", "LOG"]

    def test_a_kind_of_a_newer_version_is_an_annotation(self, story: Story) -> None:
        story.journal.annotate(story.run_id, [event("SOMETHING_NEW", "a", 1, x=1)])

        assert story.journal.tail(story.run_id, 1)[0].kind == "SOMETHING_NEW"

    # Reading ---------------------------------------------------------------------------------------------------------------------

    def test_outputs_of_successful_attempts_only(self, story: Story) -> None:
        def produces(ref: AttemptRef, end: EventKind, *names: str) -> None:
            nonce = story.running(ref)
            found = [
                event(K.STEP_OUTPUT, ref.step, ref.n, output=name, location={"path": f"{ref.step}/{ref.n}"})
                for name in names
            ]
            story.one(Append([*found, event(end, ref.step, ref.n)], ref, nonce))

        produces(A1, K.STEP_UP_FOR_RETRY, "x")
        produces(A2, K.STEP_SUCCESS, "x", "y")
        produces(B1, K.STEP_FAILURE, "x")

        assert story.journal.outputs(story.run_id, ["a", "b"]) == [
            StoredOutput(story.run_id, "a", "x", None, {"path": "a/2"}),
            StoredOutput(story.run_id, "a", "y", None, {"path": "a/2"}),
        ]
        assert story.journal.outputs(story.run_id, []) == []

    def test_early_outputs_are_the_newest_of_what_is_not_dynamic(self, story: Story) -> None:
        def produced(ref: AttemptRef, name: str, mapping_key: str | None = None) -> NewEvent:
            where = {"path": f"{ref.step}/{ref.n}"}
            return event(K.STEP_OUTPUT, ref.step, ref.n, output=name, mapping_key=mapping_key, location=where)

        nonce = story.running(A1)
        story.one(Append([produced(A1, "x"), produced(A1, "y"), event(K.STEP_UP_FOR_RETRY, "a", 1)], A1, nonce))
        story.one(Append([produced(A2, "x")], A2, story.running(A2)))
        story.one(Append([produced(B1, "many", "k")], B1, story.running(B1)))

        assert story.journal.outputs(story.run_id, ["a", "b"], early=True) == [
            StoredOutput(story.run_id, "a", "x", None, {"path": "a/2"}),
            StoredOutput(story.run_id, "a", "y", None, {"path": "a/1"}),
        ]

    def test_a_deleted_run_is_gone(self, database: Database, new: Story) -> None:
        new.in_status(RunStatus.SUCCESS)

        delete(database, new)

        with pytest.raises(NotFoundError):
            new.journal.head(new.run_id)

    def test_a_run_in_progress_is_not_deleted(self, database: Database, story: Story) -> None:
        kept = Deletions(database).take_out(story.run_id)

        assert str(kept) == "the run is STARTED"
        assert story.kinds() == ["RUN_START"]

    # The feed ----------------------------------------------------------------------------------------------------------------------

    def test_the_feed_numbers_what_is_read_across_runs(self, database: Database, journal: Journal) -> None:
        feed = Feed(database)
        start = feed.end()
        one, two = Story(journal), Story(journal)
        one.started()
        two.in_status(RunStatus.QUEUED)
        one.commit(Append([log(), event(K.ASSET_MATERIALIZATION, "a", 1, asset_key=["x"]), log()]))
        one.one(Finish(event(K.RUN_SUCCESS)))

        items, cursor = feed.read(start, limit=100)

        assert [(i.run_id, i.kind, i.seq) for i in items] == [
            (one.run_id, "RUN_START", 1),
            (two.run_id, "RUN_ENQUEUED", 1),
            (one.run_id, "ASSET_MATERIALIZATION", 3),
            (one.run_id, "RUN_SUCCESS", 5),
        ]
        numbers = [i.number for i in items]
        assert numbers == list(range(numbers[0], numbers[0] + 4))
        assert feed.read(cursor) == ([], cursor)

    def test_the_feed_is_read_in_pages_and_by_kind(self, database: Database, journal: Journal) -> None:
        feed = Feed(database)
        cursor = feed.end()
        ids = [Story(journal).in_status(RunStatus.SUCCESS).run_id for _ in range(3)]

        found = []
        for _ in range(4):
            items, cursor = feed.read(cursor, kinds=[K.RUN_SUCCESS], limit=1)
            found += [i.run_id for i in items]

        assert found == ids

    def test_a_deleted_run_does_not_make_a_reader_skip(self, database: Database, journal: Journal) -> None:
        feed = Feed(database)
        cursor = feed.end()
        gone = Story(journal).in_status(RunStatus.SUCCESS)
        _, cursor = feed.read(cursor)

        delete(database, gone)
        new = Story(journal).in_status(RunStatus.QUEUED)

        items, _ = feed.read(cursor)
        assert [i.run_id for i in items] == [new.run_id]

    # Pools ---------------------------------------------------------------------------------------------------------------------------

    def test_limits_are_set_read_and_deleted(self, database: Database) -> None:
        pools = Pools(database)

        pools.set_limit("x", 3)
        assert (pools.get("x").slots, pools.get("x").used, pools.get("x").is_default) == (3, 0, False)
        pools.set_limit("x", 0)
        assert pools.get("x").slots == 0
        pools.delete("x")
        with pytest.raises(NotFoundError, match="x"):
            pools.get("x")

    def test_a_changed_default_reaches_pools_that_nobody_set(self, database: Database) -> None:
        story = Story(Journal(database, default_pool_slots=1)).started()
        pools = Pools(database)
        pools.set_limit("own", 5)
        story.running(A1, "fresh", "own")

        story.journal = Journal(database, default_pool_slots=2)

        assert isinstance(story.one(Issue(B1, ("fresh", "own"))), Accepted)
        assert (pools.get("fresh").slots, pools.get("own").slots) == (2, 5)

    def test_a_pool_in_use_is_not_deleted(self, story: Story, database: Database) -> None:
        pools = Pools(database)
        pools.set_limit("x", 1)
        story.running(A1, "x")

        with pytest.raises(ConflictError, match="in use"):
            pools.delete("x")
        assert [(h.run_id, h.step, h.n) for h in pools.holders("x")] == [(story.run_id, "a", 1)]
