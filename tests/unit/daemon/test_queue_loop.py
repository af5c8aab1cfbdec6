"""The queue loop: pass after pass it starts what the naive rule would, and what it reads does not grow with what waits."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from storage_runs import event

from daemon_houses import DaemonHouse, FakeClock, plan_with_pools
from runplane.coordinators.limits import QueueLimits
from runplane.daemon.queue_loop import QueueLoop
from runplane.engine.limits import TagLimit
from runplane.events.kinds import EventKind
from runplane.events.origin import FileCodePointer, JobOrigin, RepositoryOrigin
from runplane.events.status import RunStatus
from runplane.instance.instance import Instance, RunRequest
from runplane.storage.contract import Accepted, Append, AttemptRef, Issue, Owner
from runplane.storage.daemons import Daemons
from runplane.storage.dialect import Outcome, Statement
from runplane.storage.launches import Launches
from runplane.storage.pools import Pools
from runplane.storage.queue import Queue


@pytest.fixture
def house() -> Iterator[DaemonHouse]:
    house = DaemonHouse()
    yield house
    house.instance.close()


def loop_of(limits: QueueLimits, clock: FakeClock | None = None) -> QueueLoop:
    return QueueLoop(limits, interval_s=5, ttl_s=8, clock=clock or FakeClock())


class Counting:
    """A database that counts what it is asked, and the rows it gives."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.dialect, self.where = inner, inner.dialect, inner.where
        self.reset()

    def reset(self) -> None:
        self.calls = self.rows = 0

    def close(self) -> None:
        self.inner.close()

    def transact(self, statements: Sequence[Statement]) -> list[Outcome]:
        self.calls += 1
        found: list[Outcome] = self.inner.transact(statements)
        self.rows += sum(len(outcome.rows) for outcome in found)
        return found

    def read(self, sql: str, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        self.calls += 1
        found: list[tuple[Any, ...]] = self.inner.read(sql, params)
        self.rows += len(found)
        return found


def test_it_starts_as_many_as_may_be_active_in_order(house: DaemonHouse) -> None:
    first, urgent, last = house.submit(), house.submit(dagster__priority="3"), house.submit()
    loop = loop_of(QueueLimits(2))

    assert house.run_once(loop).done == 2

    assert {r for r in (first, urgent, last) if house.status(r) is RunStatus.STARTING} == {first, urgent}
    assert house.run_once(loop).done == 0
    house.end(first)
    assert house.run_once(loop).done == 1
    assert house.status(last) is RunStatus.STARTING


def test_a_limit_of_zero_starts_nothing(house: DaemonHouse) -> None:
    run_id = house.submit()

    assert house.run_once(loop_of(QueueLimits(0))).done == 0
    assert house.status(run_id) is RunStatus.QUEUED


def test_who_is_blocked_does_not_hold_up_who_is_not(house: DaemonHouse) -> None:
    limits = QueueLimits(10, (TagLimit("team", 1, per_value=True),))
    a, b, c = house.submit(team="x"), house.submit(team="x"), house.submit(team="y")
    loop = loop_of(limits)

    house.run_once(loop)

    assert [house.status(r) for r in (a, b, c)] == [RunStatus.STARTING, RunStatus.QUEUED, RunStatus.STARTING]
    house.end(a)
    house.run_once(loop)
    assert house.status(b) is RunStatus.STARTING


def test_a_run_waits_for_a_slot_of_its_first_steps_pool(house: DaemonHouse) -> None:
    clock = FakeClock()
    Pools(house.instance.database).set_limit("db", 1)
    a, b = house.submit(plan_with_pools("db")), house.submit(plan_with_pools("db"))
    works = house.submit(plan_with_pools("db", ""))
    loop = loop_of(QueueLimits(10), clock)

    house.run_once(loop)

    assert [house.status(r) for r in (a, b, works)] == [RunStatus.STARTING, RunStatus.QUEUED, RunStatus.STARTING]
    clock.now += 60  # the first run had its chance, and holds no slot
    house.run_once(loop)
    assert house.status(b) is RunStatus.STARTING


def test_a_slot_is_kept_for_a_run_until_it_began_or_ended_and_no_longer(house: DaemonHouse) -> None:
    Pools(house.instance.database).set_limit("db", 1)
    ended, begun, last = (house.submit(plan_with_pools("db")) for _ in range(3))
    loop = loop_of(QueueLimits(10))
    house.run_once(loop)
    assert house.run_once(loop).done == 0, "the slot was promised to two"

    house.end(ended)
    assert house.run_once(loop).done == 1, "who has ended keeps others waiting"

    journal = house.instance.journal
    claim = journal.claim_run(begun, house.me, [], event(EventKind.RUN_START))
    assert claim is not None
    assert house.run_once(loop).done == 0
    step = AttemptRef("s0", 1)
    (issued,) = journal.commit(begun, claim.epoch, 1, [Issue(step, pools=("db",), worker="w")]).results
    assert isinstance(issued, Accepted)
    assert house.run_once(loop).done == 0, "the slot is taken"
    journal.commit(begun, claim.epoch, 2, [Append([event(EventKind.STEP_SUCCESS, "s0", 1)], step, issued.nonce)])
    assert house.run_once(loop).done == 1, "who is done with its slot keeps others waiting"
    assert house.status(last) is RunStatus.STARTING


def test_pools_are_no_hindrance_when_the_settings_say_so(house: DaemonHouse) -> None:
    Pools(house.instance.database).set_limit("db", 0)
    run_id = house.submit(plan_with_pools("db"))

    house.run_once(loop_of(QueueLimits(10, block_on_pools=False)))

    assert house.status(run_id) is RunStatus.STARTING


@pytest.mark.parametrize("seed", range(12))
def test_with_random_limits_it_starts_what_looking_at_everything_would(house: DaemonHouse, seed: int) -> None:
    """Whatever is put aside and taken up again: no pass leaves a run waiting that could be started, and order holds."""
    rng = random.Random(seed)
    limits = QueueLimits(
        rng.choice([-1, 3, 6]),
        tuple(
            TagLimit(key, rng.randint(0, 2), rng.choice([None, "x"]) if not per else None, per)
            for key in ("team", "size")
            for per in (rng.random() < 0.5,)
        ),
    )
    loop = loop_of(limits)
    for _ in range(12):
        for _ in range(rng.randint(0, 6)):
            tags = {key: rng.choice("xyz") for key in ("team", "size") if rng.random() < 0.7}
            house.submit(dagster__priority=str(rng.randint(0, 2)), **tags)
        active = [dict(house.instance.runs.get(r).tags) for r in house.in_status(RunStatus.STARTING)]
        wanted = naive(house, limits, active)

        while house.run_once(loop).again:
            pass

        started = len(house.in_status(RunStatus.STARTING)) - len(active)
        assert started == len(wanted)
        assert all(house.status(run_id) is RunStatus.STARTING for run_id in wanted)
        for run_id in house.in_status(RunStatus.STARTING):
            if rng.random() < 0.5:
                house.end(run_id)


def naive(house: DaemonHouse, limits: QueueLimits, active: list[dict[str, str]]) -> list[str]:
    taken = []
    for run in Queue(house.instance.journal).everyone(1000, ["team", "size"]):
        full = 0 <= limits.max_concurrent_runs <= len(active)
        for limit in limits.tags:
            value = run.tags.get(limit.key)
            if value is None or limit.value not in (None, value):
                continue
            wanted = value if limit.per_value or limit.value else None
            full |= sum(limit.key in t and wanted in (None, t[limit.key]) for t in active) >= limit.limit
        if not full:
            taken.append(run.run_id)
            active = [*active, dict(run.tags)]
    return taken


def end_all(house: DaemonHouse) -> None:
    for run_id in house.in_status(RunStatus.STARTING):
        house.end(run_id)


def test_a_pass_costs_the_same_with_many_more_that_wait(house: DaemonHouse) -> None:
    """Free ones, and ones that a limit keeps back: neither is read again and again."""
    limits = QueueLimits(5, (TagLimit("team", 1, per_value=True),))
    loop = loop_of(limits)
    counted = Counting(house.instance.database)
    costs = []
    for more in (40, 2000):
        for _ in range(more // 2):
            house.submit(team="x", dagster__priority="1")
            house.submit()
        end_all(house)  # the pass after this puts aside, once, what the limit of the tag keeps back
        house.run_once(loop)
        end_all(house)
        house.instance.__dict__["database"] = house.instance.journal.database = counted
        counted.reset()
        assert house.run_once(loop).done == 5
        costs.append((counted.calls, counted.rows))

    assert costs[0][0] == costs[1][0]
    assert costs[1][1] <= costs[0][1] + 50, "a pass reads a page, whatever waits behind it"


def test_launches_of_a_daemon_that_is_gone_are_given_free(house: DaemonHouse) -> None:
    clock = FakeClock()
    loop = loop_of(QueueLimits(10), clock)
    run_id = house.submit()
    house.run_once(loop)
    gone = Owner("gone", "elsewhere", "boot", 1, 1)
    Daemons(house.instance.database).beat(gone, {})
    assert [x.run_id for x in Launches(house.instance.database, "gone").take(5)] == [run_id]
    mine = Launches(house.instance.database, "me")

    for _ in range(6):
        clock.now += 1.5
        Daemons(house.instance.database).beat(gone, {})
        house.run_once(loop)
    assert not mine.waiting(), "a daemon that beats is not gone"
    for _ in range(6):
        clock.now += 1.5
        house.run_once(loop)

    assert mine.waiting()


def test_a_gap_in_the_contact_is_no_proof_that_a_daemon_is_gone(house: DaemonHouse) -> None:
    clock = FakeClock()
    loop = loop_of(QueueLimits(10), clock)
    house.submit()
    house.run_once(loop)
    Daemons(house.instance.database).beat(Owner("other", "elsewhere", "boot", 1, 1), {})
    Launches(house.instance.database, "other").take(5)

    for _ in range(3):
        clock.now += 100
        house.run_once(loop)

    assert not Launches(house.instance.database, "me").waiting()


ORIGIN = JobOrigin("job", RepositoryOrigin("python", FileCodePointer("f.py", "job")))
RUN_POOLS = """
run_queue: {max_concurrent_runs: 10}
concurrency: {pools: {granularity: run, default_limit: 1}}
"""


def test_where_runs_hold_the_slots_a_pool_limits_runs_and_their_steps_take_none() -> None:
    house = DaemonHouse(instance=Instance.from_yaml(RUN_POOLS))
    instance = house.instance
    pools = Pools(instance.database)

    def submit(*names: str) -> str:
        return instance.submit(RunRequest("job", ORIGIN, plan_with_pools(*names))).run_id

    first, second, other, free = submit("db", "db"), submit("", "db"), submit("gpu"), submit("")
    loop = QueueLoop(instance.queue_limits, interval_s=5, ttl_s=8, clock=FakeClock())
    house.run_once(loop)

    starting = RunStatus.STARTING
    assert [house.status(r) for r in (first, second, other, free)] == [starting, RunStatus.QUEUED, starting, starting]
    claim = instance.journal.claim_run(first, house.me, [], event(EventKind.RUN_START))
    assert claim is not None
    ops = [Issue(AttemptRef(step, 1), pools=("db",), worker="w") for step in ("s0", "s1")]
    assert all(isinstance(r, Accepted) for r in instance.journal.commit(first, claim.epoch, 1, ops).results)
    assert pools.get("db").used == 0
    house.run_once(loop)
    assert house.status(second) is RunStatus.QUEUED, "two runs hold the only slot"

    pools.set_limit("db", 2)
    house.run_once(loop)

    assert house.status(second) is starting
    instance.close()
