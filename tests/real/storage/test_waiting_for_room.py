"""A run that waits for a slot which another run holds: woken when it is freed, quiet until then."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from storage_runs import StartedRun

from runplane.engine.snapshot import PlanSnapshot, StepPlan
from runplane.events.run import Run
from runplane.events.status import RunStatus
from runplane.executors import driver as driver_module
from runplane.executors.driver import Driver, LeaveAsked
from runplane.executors.heartbeat import Heartbeat
from runplane.storage.contract import AttemptRef, Issue, RunClaim, Seal
from runplane.storage.database import Database
from runplane.storage.journal import Journal
from runplane.storage.pools import Pools
from runplane.testing.scripted_runner import ScriptedRunner

QUIET_S = 2.0
HOLDER = AttemptRef("holder", 1)


@pytest.fixture
def holder(open_database: Callable[[], Database]) -> StartedRun:
    """A run that holds the only slot of the pool ``db``."""
    database = open_database()
    Pools(database).set_limit("db", 1)
    run = StartedRun(Journal(database))
    run.commit(Issue(HOLDER, ("db",)))
    return run


class Waiting:
    """Another run, in a thread of its own with its own connection, whose step was refused a slot."""

    def __init__(self, database: Database) -> None:
        self.database = database
        run = StartedRun(Journal(database))
        self.ended: list[RunStatus | None] = []
        plan = PlanSnapshot("job", (StepPlan("a", "a", "a", pools=("db",)),))
        claim = RunClaim(run.epoch, run.journal.head(run.run_id).head, "1.0", resumed=False)
        self.driver = Driver(run.journal, Run(run.run_id, "job"), plan, claim, ScriptedRunner)
        self.is_refused = threading.Event()
        await_room = self.driver.room.await_room
        self.driver.room.await_room = lambda key, names: (await_room(key, names), self.is_refused.set())[0]  # type: ignore[method-assign]
        self._heartbeat = Heartbeat(run.journal, run.run_id, run.epoch, self.driver.tell, room=self.driver.room)
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        assert self.is_refused.wait(30)

    def _run(self) -> None:
        with self._heartbeat:
            self.ended.append(self.driver.drive())


@pytest.fixture
def waiting(
    holder: StartedRun, open_database: Callable[[], Database], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Waiting]:
    # By itself it would ask again in an hour.
    monkeypatch.setattr(driver_module, "POOL_RETRY_S", 3600.0)
    made = Waiting(open_database())
    yield made
    made.driver.tell(LeaveAsked())
    made.thread.join(30)


def test_a_slot_that_another_run_frees_is_taken(holder: StartedRun, waiting: Waiting) -> None:
    holder.commit(Seal(HOLDER, "LOST", "gone"))

    waiting.thread.join(10)
    assert waiting.ended == [RunStatus.SUCCESS]


def test_a_limit_that_is_raised_makes_room(holder: StartedRun, waiting: Waiting) -> None:
    Pools(holder.journal.database).set_limit("db", 2)

    waiting.thread.join(10)
    assert waiting.ended == [RunStatus.SUCCESS]


def test_waiting_writes_nothing_and_costs_next_to_nothing(
    holder: StartedRun, waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    transact = waiting.database.transact
    monkeypatch.setattr(waiting.database, "transact", lambda statements: (asked.append(1), transact(statements))[1])
    before = time.process_time()

    time.sleep(QUIET_S)

    # One beat may fall into it.
    assert len(asked) <= 1
    assert time.process_time() - before < 0.03 * QUIET_S
