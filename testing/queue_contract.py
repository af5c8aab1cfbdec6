"""What every database under ``Queue``, ``Leases`` and ``Launches`` must do.

A backend's own test derives from ``QueueContract`` and gives the fixture ``open_database``, as for ``JournalContract``.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from ..errors import ConflictError, FencedError
from ..events.kinds import EventKind
from ..events.run import Run
from ..events.status import RunStatus
from ..storage.contract import Owner
from ..storage.database import Database
from ..storage.feed import Feed
from ..storage.journal import Journal
from ..storage.launches import Launches
from ..storage.leases import Lease, Leases
from ..storage.queue import Queue, Room
from .journal_contract import LossyDatabase, event

K = EventKind
_ids = itertools.count(1)


def daemon_process(name: str) -> Owner:
    """A daemon of another machine, so that nothing is known of its process."""
    return Owner(name, f"host of {name}", "boot", 1, 1)


class House:
    """What one process sees of a database."""

    def __init__(self, database: Database, name: str = "d") -> None:
        self.database = database
        self.journal = Journal(database)
        self.queue = Queue(self.journal)
        self.launches = Launches(database, name)
        self.leases = Leases(database, daemon_process(name), ttl_s=60)

    def lease(self) -> Lease:
        """The queue's lease, which is free."""
        lease = self.leases.acquire("queue")
        assert lease is not None
        return lease

    def enqueue(self, priority: int = 0, *, pools: dict[str, int] | None = None, **tags: str) -> str:
        """A run that waits."""
        run_id = f"{next(_ids):032x}"
        run = Run(run_id=run_id, job_name="job", tags=tags)
        self.queue.enqueue(run, event(K.RUN_ENQUEUED), priority=priority, pools=pools, is_stored=False)
        return run_id

    def take(self, lease: Lease, *run_ids: str, room: Room | None = None) -> list[str]:
        """Take these from the queue."""
        return sorted(self.queue.dequeue(lease, run_ids, room or Room(), event(K.RUN_STARTING, message="now")))

    def status(self, run_id: str) -> RunStatus:
        """Where a run stands."""
        return self.journal.head(run_id).status

    def waiting(self, **more: Any) -> list[str]:
        """Who waits, in order."""
        return [run.run_id for run in self.queue.waiting(100, **more)]

    def cancel(self, run_id: str) -> None:
        """Somebody wants the run to end."""
        self.journal.intend(run_id, "cancel", event(K.RUN_CANCELING), event(K.RUN_CANCELED))


class QueueContract:
    """The suite; see the module."""

    @pytest.fixture
    def open_database(self) -> Callable[[], Database]:
        """Opens one more connection to the same, empty database."""
        raise NotImplementedError("give the fixture `open_database`")

    @pytest.fixture
    def house(self, open_database: Callable[[], Database]) -> House:
        """One process."""
        return House(open_database())

    # Entering and leaving

    def test_a_run_is_stored_and_queued_in_one_transaction(self, open_database: Callable[[], Database]) -> None:
        counted = LossyDatabase(open_database(), loses=False)
        house = House(counted)

        run_id = house.enqueue()

        assert counted.round_trips == 1
        assert house.status(run_id) is RunStatus.QUEUED
        assert [e.kind for e in house.journal.tail(run_id, 0)] == [K.RUN_ENQUEUED]

    def test_a_run_enters_once_when_the_reply_is_lost(self, open_database: Callable[[], Database]) -> None:
        house = House(LossyDatabase(open_database()))

        run_id = house.enqueue()

        assert house.waiting() == [run_id]
        assert [e.kind for e in house.journal.tail(run_id, 0)] == [K.RUN_ENQUEUED]

    def test_a_run_that_was_submitted_can_not_enter_again(self, house: House) -> None:
        run_id = house.enqueue()

        with pytest.raises(ConflictError, match="QUEUED can not be enqueued"):
            house.queue.enqueue(
                Run(run_id=run_id, job_name="job"), event(K.RUN_ENQUEUED), priority=0, pools=None, is_stored=True
            )

    def test_they_wait_by_priority_and_then_in_the_order_of_their_coming(self, house: House) -> None:
        first, second, urgent, last = house.enqueue(), house.enqueue(), house.enqueue(5), house.enqueue(-1)

        assert house.waiting() == [urgent, first, second, last]
        entry = house.queue.entry(last)
        assert entry is not None
        assert house.queue.ahead_of(entry) == 3

    def test_a_page_goes_on_behind_a_run(self, house: House) -> None:
        ids = [house.enqueue(priority) for priority in (3, 3, 1, 1, 0)]

        first = house.queue.everyone(2)
        second = house.queue.everyone(10, after=first[-1])

        assert [run.run_id for run in [*first, *second]] == ids

    def test_a_canceled_run_leaves_at_once_with_both_events(self, house: House) -> None:
        run_id = house.enqueue()

        house.cancel(run_id)

        assert house.waiting() == []
        assert house.status(run_id) is RunStatus.CANCELED
        assert [e.kind for e in house.journal.tail(run_id, 0)] == [K.RUN_ENQUEUED, K.RUN_CANCELING, K.RUN_CANCELED]

    def test_a_run_that_failed_while_it_waited_leaves(self, house: House) -> None:
        run_id = house.enqueue()

        house.journal.move(run_id, event(K.RUN_FAILURE))

        assert house.waiting() == []

    # Taking

    def test_taken_runs_are_starting_with_their_event_and_are_to_be_launched(self, house: House) -> None:
        a, b, c = house.enqueue(), house.enqueue(), house.enqueue()

        assert house.take(house.lease(), a, b) == [a, b]

        assert house.waiting() == [c]
        assert [house.status(r) for r in (a, b, c)] == [RunStatus.STARTING, RunStatus.STARTING, RunStatus.QUEUED]
        events = house.journal.tail(a, 0)
        assert [(e.seq, e.kind) for e in events] == [(1, K.RUN_ENQUEUED), (2, K.RUN_STARTING)]
        assert events[1].body == {"message": "now"}
        assert sorted(launch.run_id for launch in house.launches.take(10)) == [a, b]

    def test_the_feed_tells_each_of_them_once(self, house: House) -> None:
        ids = [house.enqueue() for _ in range(5)]

        house.take(house.lease(), *ids)

        items, _ = Feed(house.database).read()
        assert [item.number for item in items] == list(range(1, 11))
        assert sorted(i.run_id for i in items if i.kind == K.RUN_STARTING) == ids

    def test_taking_is_one_round_trip(self, open_database: Callable[[], Database]) -> None:
        counted = LossyDatabase(open_database(), loses=False)
        house = House(counted)
        ids = [house.enqueue() for _ in range(20)]
        lease = house.lease()
        before = counted.round_trips

        house.take(lease, *ids)

        assert counted.round_trips - before == 1

    def test_a_transaction_that_is_sent_again_takes_nothing_twice(self, open_database: Callable[[], Database]) -> None:
        plain = House(open_database())
        run_id = plain.enqueue()
        lease = plain.lease()

        House(LossyDatabase(plain.database)).take(lease, run_id)

        assert [e.kind for e in plain.journal.tail(run_id, 0)] == [K.RUN_ENQUEUED, K.RUN_STARTING]
        assert [launch.run_id for launch in plain.launches.take(10)] == [run_id]

    def test_a_run_that_was_canceled_meanwhile_is_not_taken_and_the_others_are(self, house: House) -> None:
        a, b = house.enqueue(), house.enqueue()
        house.cancel(a)

        assert house.take(house.lease(), a, b) == [b]

    def test_nothing_is_taken_when_there_is_less_room_than_was_thought(self, house: House) -> None:
        a, b = house.enqueue(), house.enqueue()
        lease = house.lease()
        house.take(lease, a)

        taken = house.take(lease, b, room=Room(active_at_most=0))

        assert taken == [], "a run was taken though the limit is reached"
        assert house.take(lease, b, room=Room(active_at_most=1)) == [b]

    def test_a_limit_of_a_tag_is_counted_again(self, house: House) -> None:
        a, b, other = house.enqueue(team="x"), house.enqueue(team="x"), house.enqueue(team="y")
        lease = house.lease()
        house.take(lease, a)

        assert house.take(lease, b, room=Room(None, [("team", "x", 0)])) == []
        assert house.take(lease, other, room=Room(None, [("team", None, 0)])) == []
        assert house.take(lease, other, room=Room(None, [("team", "y", 0)])) == [other]
        assert house.take(lease, b, room=Room(None, [("team", None, 2), ("team", "x", 1)])) == [b]

    def test_active_runs_are_counted_by_their_tags(self, house: House) -> None:
        ids = [house.enqueue(team="x", size="l"), house.enqueue(team="x"), house.enqueue(team="y"), house.enqueue()]
        house.enqueue(team="x")
        house.take(house.lease(), *ids)

        active = house.queue.active(["team", "size"])

        assert active.count == 4
        assert active.by_tag == {("team", "x"): 2, ("team", "y"): 1, ("size", "l"): 1}

    def test_two_holders_in_a_row_never_take_more_than_the_limit(self, open_database: Callable[[], Database]) -> None:
        """Both have counted before either took: the second count, inside the transaction, is what holds the limit."""
        house = House(open_database())
        ids = [house.enqueue() for _ in range(4)]
        lease = house.lease()
        room = Room(active_at_most=0)

        taken = [*house.take(lease, *ids[:2], room=room), *house.take(lease, *ids[2:], room=room)]

        assert len(taken) == 2, "counts were believed that were made before the transaction"

    # The lease

    def test_only_one_process_has_the_lease(self, open_database: Callable[[], Database]) -> None:
        database = open_database()
        first, second = House(database, "first"), House(database, "second")

        assert first.leases.acquire("queue") is not None
        assert second.leases.acquire("queue") is None
        assert first.leases.acquire("queue") == first.leases.acquire("queue")
        assert second.leases.acquire("other") is not None

    def test_who_lost_the_lease_takes_nothing(self, open_database: Callable[[], Database]) -> None:
        database = open_database()
        first, second = House(database, "first"), House(database, "second")
        run_id = first.enqueue()
        old = first.lease()
        first.leases.release(old)
        second.lease()

        with pytest.raises(FencedError, match="another process holds the lease 'queue'"):
            first.take(old, run_id)
        with pytest.raises(FencedError):
            first.queue.park(old, {run_id: "x"})
        with pytest.raises(FencedError):
            first.leases.renew(old)
        assert first.status(run_id) is RunStatus.QUEUED

    def test_a_holder_from_before_is_refused_even_when_it_has_the_lease_again(self, house: House) -> None:
        run_id = house.enqueue()
        old = house.lease()
        house.leases.release(old)
        assert house.lease().fence > old.fence

        with pytest.raises(FencedError):
            house.take(old, run_id)

    def test_the_lease_is_had_once_when_the_reply_is_lost(self, open_database: Callable[[], Database]) -> None:
        database = open_database()
        lossy = House(LossyDatabase(database), "lossy")

        lease = lossy.lease()

        lossy.leases.renew(lease)
        assert House(database, "other").leases.acquire("queue") is None

    # Aside

    def test_what_was_put_aside_is_found_under_its_limit_only(self, house: House) -> None:
        a, b, c = house.enqueue(), house.enqueue(3), house.enqueue()
        lease = house.lease()

        house.queue.park(lease, {a: "team", b: "team"})

        assert house.waiting() == [c]
        assert house.waiting(parked="team") == [b, a]
        house.queue.park(lease, {a: None})
        assert house.waiting() == [a, c]
        house.queue.look_at_all_again(lease)
        assert house.waiting() == [b, a, c]

    def test_pools_and_the_tags_that_matter_come_with_a_run(self, house: House) -> None:
        house.enqueue(pools={"db": 2}, team="x", size="l")

        found = house.queue.waiting(1, ["team"])[0]

        assert (found.pools, found.tags) == ({"db": 2}, {"team": "x"})

    # Launches

    def test_each_launch_is_one_daemons(self, open_database: Callable[[], Database]) -> None:
        database = open_database()
        first, second = House(database, "first"), House(database, "second")
        ids = [first.enqueue() for _ in range(4)]
        first.take(first.lease(), *ids)

        mine, others = first.launches.take(3), second.launches.take(3)

        assert sorted(launch.run_id for launch in [*mine, *others]) == ids
        assert first.launches.is_mine(mine[0].run_id)
        assert not second.launches.is_mine(mine[0].run_id)
        assert not second.launches.waiting()

    def test_a_launch_that_was_made_is_not_taken_up_again(self, open_database: Callable[[], Database]) -> None:
        database = open_database()
        first, second = House(database, "first"), House(database, "second")
        run_id = first.enqueue()
        first.take(first.lease(), run_id)
        first.launches.take(1)

        first.launches.done({run_id: {"kind": "k", "data": {}}})
        second.launches.set_free("first")

        assert second.launches.take(1) == []
        rows = database.read(first.journal.rules.named("SELECT handle FROM {run} WHERE run_id = :run"), {"run": run_id})
        assert json.loads(rows[0][0]) == {"kind": "k", "data": {}}

    def test_the_launches_of_a_daemon_that_is_gone_are_taken_up(self, open_database: Callable[[], Database]) -> None:
        database = open_database()
        first, second = House(database, "first"), House(database, "second")
        run_id = first.enqueue()
        first.take(first.lease(), run_id)
        first.launches.take(1)

        assert second.launches.holders() == ["first"]
        assert second.launches.set_free("first") == 1

        assert [(launch.run_id, launch.tries) for launch in second.launches.take(1)] == [(run_id, 2)]
        first.launches.done({run_id: {"kind": "of the first", "data": {}}})
        assert second.launches.is_mine(run_id), "a daemon that was replaced ended a launch that is another's"

    def test_who_was_canceled_while_it_was_launched_is_named(self, house: House) -> None:
        a, b = house.enqueue(), house.enqueue()
        house.take(house.lease(), a, b)
        house.launches.take(2)
        house.cancel(a)

        assert house.launches.done({a: None, b: None}).canceled == [a]

    # Many at once

    def test_three_processes_with_limit_ten_never_have_eleven(self, open_database: Callable[[], Database]) -> None:
        """Each picks by counts that may be old, and each has a lease now and then."""
        houses = [House(open_database(), f"p{i}") for i in range(3)]
        total, limit = 60, 10
        for _ in range(total):
            houses[0].enqueue()
        stop, most, ended = threading.Event(), [0], [0]
        problems: list[BaseException] = []
        threads = [threading.Thread(target=_pick_until, args=(h, limit, stop, problems)) for h in houses]
        for thread in threads:
            thread.start()

        try:
            watcher = House(open_database(), "watcher")
            deadline = time.monotonic() + 60
            while ended[0] < total and time.monotonic() < deadline and not problems:
                active = _active(watcher)
                most[0] = max(most[0], len(active))
                for run_id in active[:3]:
                    watcher.journal.move(run_id, event(K.RUN_FAILURE))
                    ended[0] += 1
        finally:
            stop.set()
            for thread in threads:
                thread.join()

        assert problems == []
        assert ended[0] == total
        assert most[0] == limit, "the limit was passed, or never reached"


def _active(house: House) -> list[str]:
    text = house.journal.rules.named("SELECT run_id FROM {run_head} WHERE status = 'STARTING' ORDER BY run_id")
    return [row[0] for row in house.database.read(text, {})]


def _pick_until(house: House, limit: int, stop: threading.Event, problems: list[BaseException]) -> None:
    try:
        for turn in itertools.count():
            if stop.is_set():
                return
            lease = house.leases.acquire("queue")
            if lease is None:
                time.sleep(0.001)
                continue
            for _ in range(3):
                active = house.queue.active().count
                runs = [run.run_id for run in house.queue.waiting(max(1, limit - active))]
                # Now and then more than there is room for is asked: the count inside has to see it.
                room = Room(active_at_most=max(0, limit - len(runs)))
                if runs:
                    house.take(lease, *runs, room=room)
            if turn % 2:
                house.leases.release(lease)
    except BaseException as e:  # noqa: BLE001 - the test's own thread shows it
        problems.append(e)
