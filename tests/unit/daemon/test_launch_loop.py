"""Launches: what becomes of a run whose launcher works, raises, hangs, or is too late."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from daemon_houses import DaemonHouse, FakeClock, RecordingLauncher
from runplane.coordinators.limits import QueueLimits
from runplane.daemon.launch_loop import DEADLINE_S, LaunchLoop
from runplane.daemon.queue_loop import QueueLoop
from runplane.events.kinds import EventKind
from runplane.events.status import RunStatus
from runplane.launchers.contract import BackendAwayError, LaunchRequest, WorkerHandle
from runplane.storage.launches import Launches


class HeldLauncher(RecordingLauncher):
    """Returns, or raises, when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.error: Exception | None = None

    def launch(self, request: LaunchRequest) -> WorkerHandle:
        self.entered.set()
        assert self.go_on.wait(30)
        if self.error is not None:
            raise self.error
        return super().launch(request)


@pytest.fixture
def held() -> HeldLauncher:
    return HeldLauncher()


@pytest.fixture
def house(held: HeldLauncher) -> Iterator[DaemonHouse]:
    house = DaemonHouse(held)
    yield house
    held.go_on.set()
    house.instance.close()


def taken(house: DaemonHouse) -> str:
    """A run that left the queue."""
    run_id = house.submit()
    house.run_once(QueueLoop(QueueLimits(-1), interval_s=5, ttl_s=8))
    assert house.status(run_id) is RunStatus.STARTING
    return run_id


def land(house: DaemonHouse, loop: LaunchLoop) -> None:
    """Let the launcher return, and the loop hear of it."""
    before = house.rings
    assert isinstance(house.launcher, HeldLauncher)
    house.launcher.go_on.set()
    hear(house, loop, before + 1)


def hear(house: DaemonHouse, loop: LaunchLoop, rings: int) -> None:
    """The loop's next pass, when it was called for that often."""
    limit = time.monotonic() + 30
    while house.rings < rings:
        assert time.monotonic() < limit, f"called for {house.rings} times, not {rings}"
        time.sleep(0.01)
    house.run_once(loop)


def test_a_launched_run_has_its_workers_handle(house: DaemonHouse) -> None:
    run_id, loop = taken(house), LaunchLoop()

    assert house.run_once(loop).done == 1
    land(house, loop)

    assert house.instance.runs.handle(run_id) == {"kind": "recorded", "data": {"run": run_id}}
    assert house.run_once(loop).done == 0
    assert house.launcher.launched == [run_id]


def test_a_launcher_that_raises_fails_the_run_with_what_it_raised(house: DaemonHouse, held: HeldLauncher) -> None:
    run_id, loop = taken(house), LaunchLoop()
    held.error = ConnectionError("no route to the cluster")

    house.run_once(loop)
    land(house, loop)

    assert house.status(run_id) is RunStatus.FAILURE
    failure = house.last(run_id, EventKind.RUN_FAILURE)
    assert failure["message"] == "The run could not be launched: no route to the cluster"
    assert failure["error"]["cls_name"] == "ConnectionError"


def test_a_backend_that_is_away_is_waited_for(house: DaemonHouse, held: HeldLauncher) -> None:
    """Longer than a launch that hangs may take: it does return each time."""
    clock = FakeClock()
    tries: list[float] = []

    def pause() -> None:
        assert not [f for f in loop._flights.values() if clock() - f.since > DEADLINE_S], (
            "it is taken for one that hangs"
        )
        tries.append(clock())
        clock.now += 50
        if len(tries) == 5:
            held.error = None

    run_id, loop = taken(house), LaunchLoop(clock=clock, pause=pause)
    held.error = BackendAwayError("the API server does not answer")
    house.run_once(loop)

    land(house, loop)

    assert len(tries) == 5
    assert house.status(run_id) is RunStatus.STARTING
    assert house.instance.runs.handle(run_id) is not None


def test_a_run_that_is_canceled_while_the_backend_is_away_is_not_launched(
    house: DaemonHouse, held: HeldLauncher
) -> None:
    run_id, loop = taken(house), LaunchLoop(pause=lambda: None)
    held.error = BackendAwayError("the API server does not answer")
    house.run_once(loop)
    house.instance.cancel(run_id)

    land(house, loop)

    assert house.status(run_id) is RunStatus.CANCELED
    assert house.instance.runs.handle(run_id) is None


def test_a_launch_that_is_over_its_time_fails_the_run_and_a_late_worker_is_told_to_end(
    house: DaemonHouse, held: HeldLauncher
) -> None:
    clock = FakeClock()
    run_id, loop = taken(house), LaunchLoop(deadline_s=60, clock=clock)
    house.run_once(loop)
    assert held.entered.wait(30)

    clock.now += 61
    problems = house.run_once(loop).problems

    assert problems == (f"run {run_id}: the launcher did not return within 60 s",)
    assert house.status(run_id) is RunStatus.FAILURE
    land(house, loop)
    assert held.terminated == [run_id]
    assert house.run_once(loop).problems == ()


def test_a_run_that_is_canceled_while_it_is_launched_ends_and_its_worker_too(
    house: DaemonHouse, held: HeldLauncher
) -> None:
    run_id, loop = taken(house), LaunchLoop()
    house.run_once(loop)
    assert held.entered.wait(30)

    house.cancel(run_id)
    land(house, loop)

    assert house.status(run_id) is RunStatus.CANCELED
    assert held.terminated == [run_id]


def test_a_run_that_was_canceled_before_it_was_launched_is_not_launched(house: DaemonHouse, held: HeldLauncher) -> None:
    run_id, loop = taken(house), LaunchLoop()
    house.cancel(run_id)

    house.run_once(loop)
    house.run_once(loop)

    assert house.status(run_id) is RunStatus.CANCELED
    assert held.launched == []


def test_a_daemon_that_was_frozen_does_not_launch_what_another_has_taken_up(
    house: DaemonHouse, held: HeldLauncher
) -> None:
    """Between taking a launch and making it this process stood still for longer than others wait."""
    run_id, clock = taken(house), FakeClock()
    loop = LaunchLoop(trust_s=-1, clock=clock)
    ours = Launches(house.instance.database, house.me.worker_id)
    taken_up = threading.Event()
    really_mine = Launches.is_mine

    def asked(launches: Launches, asked_for: str) -> bool:
        ours.set_free(house.me.worker_id)
        Launches(house.instance.database, "another").take(1)
        taken_up.set()
        return really_mine(launches, asked_for)

    held.go_on.set()
    before = house.rings
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Launches, "is_mine", asked)
        house.run_once(loop)
        assert taken_up.wait(30)
        hear(house, loop, before + 1)

    assert held.launched == [], "a launch that is another daemon's was made"
    assert Launches(house.instance.database, "another").is_mine(run_id)


def test_a_stuck_launch_costs_one_place(house: DaemonHouse, held: HeldLauncher) -> None:
    loop = LaunchLoop(threads=2)
    for _ in range(3):
        taken(house)

    assert house.run_once(loop).done == 2
    assert house.run_once(loop).done == 0

    before = house.rings
    held.go_on.set()
    hear(house, loop, before + 2)
    hear(house, loop, before + 3)
    assert len(held.launched) == 3
