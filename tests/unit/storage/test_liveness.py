"""When a coordinator counts as gone: proof, or a beat that stood still while it could be seen."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from runplane.errors import StorageUnavailableError
from runplane.events.status import RunStatus
from runplane.storage.contract import Head
from runplane.storage.liveness import boot_id, proven_gone, start_time, stood_still, this_process

SEEN = Head("r", RunStatus.STARTED, "none", 1, 5, beat=7, resumes=0, owner=None)
TTL = 8.0


class World:
    """A clock that moves when somebody sleeps, and a database that answers by the clock."""

    def __init__(self, answer: Callable[[World], Head]) -> None:
        self.now = 100.0
        self.reads = 0
        self._answer = answer

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def read(self) -> Head:
        self.reads += 1
        return self._answer(self)

    def stood_still(self) -> bool:
        return stood_still(self.read, SEEN, TTL, clock=lambda: self.now, sleep=self.sleep)


def test_a_beat_that_stands_still_for_the_whole_time_is_gone() -> None:
    world = World(lambda _: SEEN)

    assert world.stood_still()
    assert world.now - 100 >= TTL
    assert world.reads > 8


@pytest.mark.parametrize(
    "changed", [{"beat": 8}, {"epoch": 2}, {"status": RunStatus.SUCCESS}], ids=["beat", "epoch", "over"]
)
@pytest.mark.parametrize("at", [100.5, 107.9])
def test_what_moves_is_alive(changed: dict[str, object], at: float) -> None:
    world = World(lambda w: replace(SEEN, **changed) if w.now >= at else SEEN)  # type: ignore[arg-type]

    assert not world.stood_still()


def test_a_gap_in_the_contact_begins_the_time_anew() -> None:
    def away_for_minutes(world: World) -> Head:
        if world.now > 104 and world.now < 400:
            world.now = 400.0  # the call waited for the database
        return SEEN

    world = World(away_for_minutes)

    assert world.stood_still()
    assert world.now >= 400 + TTL


def test_an_owner_that_beats_after_the_outage_is_alive() -> None:
    def away(world: World) -> Head:
        if world.now < 300:
            raise StorageUnavailableError("away")
        return SEEN if world.now < 304 else replace(SEEN, beat=8)

    assert not World(away).stood_still()


def test_errors_are_a_gap_too() -> None:
    def away(world: World) -> Head:
        if 101 < world.now < 300:
            raise StorageUnavailableError("away")
        return SEEN

    world = World(away)

    assert world.stood_still()
    assert world.now >= 300 + TTL


# Proof --------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def test_this_process_is_not_gone() -> None:
    assert proven_gone(this_process()) is None


def test_a_process_that_ended_is_proven_gone_and_its_number_does_not_hide_it(child: subprocess.Popen[bytes]) -> None:
    me = this_process()
    owner = replace(me, pid=child.pid, pid_started=start_time(child.pid) or 0)
    assert proven_gone(owner) is None

    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    assert proven_gone(owner) == f"process {child.pid} on {me.host} is gone"  # a zombie
    assert proven_gone(replace(me, pid_started=me.pid_started - 1)) is not None  # the number was given again


def test_a_process_before_a_reboot_is_proven_gone_and_one_elsewhere_is_not() -> None:
    me = this_process()

    assert "started again" in (proven_gone(replace(me, boot_id="another")) or "")
    assert proven_gone(replace(me, host="elsewhere", pid_started=1)) is None
    assert proven_gone(replace(me, boot_id="", pid_started=1)) is None
    assert boot_id()


def test_a_process_of_another_container_is_unknown_even_under_the_same_host_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Pid 1 of another container is not our pid 1, and their start times say nothing of each other."""
    me = this_process()
    assert proven_gone(replace(me, pid_started=1)) is not None

    monkeypatch.setattr(os, "readlink", lambda path: "pid:[4026532999]")

    assert "4026532999" in this_process().host
    assert proven_gone(replace(me, pid_started=1)) is None
