"""The reaper: it acts on evidence alone, after a while, and leaves runs to the monitor where there is one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from storage_runs import event

from daemon_houses import DaemonHouse, FakeClock
from runplane.daemon.reaper_loop import GONE_FOR_S, ReaperLoop, reap_daemons
from runplane.events.kinds import EventKind
from runplane.events.status import RunStatus
from runplane.instance.instance import RunRequest
from runplane.storage.contract import AttemptRef, Issue, Owner
from runplane.storage.daemons import Daemons
from runplane.storage.liveness import start_time, this_process
from runplane.storage.pools import Pools
from runplane.storage.sqlite import SqliteDatabase

ELSEWHERE = Owner("elsewhere", "another host", "boot", 1, 1)


def gone() -> Owner:
    """A process of this host that is not there any more."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    owner = replace(this_process(), worker_id="killed", pid=process.pid, pid_started=start_time(process.pid) or 0)
    process.kill()
    process.communicate()
    return owner


@pytest.fixture
def house() -> Iterator[DaemonHouse]:
    house = DaemonHouse()
    yield house
    house.instance.close()


def started(house: DaemonHouse, owner: Owner) -> str:
    """A run with a step under way, which holds a slot."""
    run_id = house.instance.create(RunRequest("job")).run_id
    claim = house.instance.journal.claim_run(run_id, owner, [], event(EventKind.RUN_START))
    assert claim is not None
    issue = Issue(AttemptRef("a", 1), pools=("db",), worker="w")
    house.instance.journal.commit(run_id, claim.epoch, 1, [issue])
    return run_id


def test_rows_of_killed_daemons_are_removed_and_others_stay() -> None:
    me = this_process()
    database = SqliteDatabase(None)
    daemons = Daemons(database)
    for owner in (me, gone(), ELSEWHERE):
        daemons.beat(owner, {})

    reap_daemons(daemons)

    assert {row.daemon_id for row in daemons.all()} == {me.worker_id, "elsewhere"}
    database.close()


def test_a_run_whose_process_is_gone_fails_after_a_while_and_its_slot_is_free(house: DaemonHouse) -> None:
    Pools(house.instance.database).set_limit("db", 3)
    lost, far, mine = started(house, gone()), started(house, ELSEWHERE), started(house, this_process())
    clock = FakeClock()
    loop = ReaperLoop(ends_runs=True, clock=clock)
    assert house.run_once(loop).done == 0
    clock.now += GONE_FOR_S - 1
    assert house.run_once(loop).done == 0, "whoever started the worker was given no time"

    clock.now += 1
    assert house.run_once(loop).done == 1

    assert [house.status(r) for r in (lost, far, mine)] == [RunStatus.FAILURE, RunStatus.STARTED, RunStatus.STARTED]
    assert "is gone" in house.last(lost, EventKind.RUN_FAILURE)["message"]
    assert Pools(house.instance.database).get("db").used == 2
    assert house.run_once(loop).done == 0


def test_a_run_that_was_canceled_and_lost_its_process_is_canceled(house: DaemonHouse) -> None:
    clock = FakeClock()
    loop = ReaperLoop(ends_runs=True, clock=clock)
    owner = gone()
    run_id = started(house, owner)
    canceling = event(EventKind.RUN_CANCELING, intent="cancel")
    house.instance.journal.intend(run_id, "cancel", canceling, event(EventKind.RUN_CANCELED))

    house.run_once(loop)
    clock.now += GONE_FOR_S
    house.run_once(loop)

    assert house.status(run_id) is RunStatus.CANCELED


def test_another_worker_that_takes_the_run_over_meanwhile_keeps_it(house: DaemonHouse) -> None:
    clock = FakeClock()
    loop = ReaperLoop(ends_runs=True, clock=clock)
    run_id = started(house, gone())
    house.run_once(loop)

    head = house.instance.journal.head(run_id)
    assert house.instance.journal.take_over(head, this_process(), event(EventKind.RUN_RESUMED)) is not None
    clock.now += GONE_FOR_S
    house.run_once(loop)

    assert house.status(run_id) is RunStatus.STARTED


def test_runs_are_left_to_the_monitor_where_there_is_one(house: DaemonHouse) -> None:
    clock = FakeClock()
    loop = ReaperLoop(ends_runs=False, clock=clock)
    run_id = started(house, gone())

    for _ in range(3):
        clock.now += GONE_FOR_S
        assert house.run_once(loop).done == 0

    assert house.status(run_id) is RunStatus.STARTED


def test_slots_that_a_run_left_behind_are_freed_and_that_is_said(house: DaemonHouse) -> None:
    run_id = started(house, ELSEWHERE)
    sql = house.instance.journal.rules.named
    house.instance.database.read(sql("UPDATE {run_head} SET status = 'FAILURE' WHERE run_id = :run"), {"run": run_id})
    house.instance.database.read(sql("UPDATE {run} SET ended_at = 1 WHERE run_id = :run"), {"run": run_id})

    report = house.run_once(ReaperLoop(ends_runs=True))

    assert report.problems == ("1 slots were held by runs that had ended; they are free now",)
    assert Pools(house.instance.database).get("db").used == 0
