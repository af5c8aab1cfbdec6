"""A loop's thread: it goes on after whatever the loop raises, gives its lease up when it hangs, and says how it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from runplane.daemon.contract import LoopContext, LoopReport
from runplane.daemon.loop_thread import LoopThread
from runplane.errors import FencedError, StorageUnavailableError
from runplane.instance.instance import Instance
from runplane.storage.contract import Owner
from runplane.storage.leases import Leases

ME = Owner("me", "here", "boot", 1, 1)
OTHER = Owner("other", "there", "boot", 2, 2)


class Scripted:
    """Does what the test says, one thing a pass."""

    name = "scripted"
    interval_s = 0.01
    budget_s = 30.0
    wakes = True

    def __init__(self, *script: Callable[[LoopContext], object], is_leased: bool = True) -> None:
        self.script = list(script)
        self.is_leased = is_leased
        self.passes = 0
        self.fences: list[int] = []
        self.closed = threading.Event()

    def run_once(self, context: LoopContext) -> LoopReport:
        self.passes += 1
        self.fences.append(context.lease.fence if context.lease else 0)
        if self.script:
            self.script.pop(0)(context)
        return LoopReport(1)

    def close(self) -> None:
        self.closed.set()


@pytest.fixture
def instance() -> Iterator[Instance]:
    with Instance.ephemeral() as instance:
        yield instance


@pytest.fixture
def run(instance: Instance) -> Iterator[Callable[[Scripted], LoopThread]]:
    threads: list[LoopThread] = []
    instance.close = lambda: None  # type: ignore[method-assign]  # the test goes on looking at it

    def start(loop: Scripted) -> LoopThread:
        threads.append(LoopThread(loop, instance, ME, ttl_s=60, say=lambda _: None, after_error_s=0.01))
        threads[-1].start()
        return threads[-1]

    yield start
    for thread in threads:
        thread.stop()
        assert thread.join(30)
    del instance.close


def wait_for(what: str, is_there: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not is_there():
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(0.005)


def raising(error: Exception) -> Callable[[LoopContext], object]:
    def raise_it(_: LoopContext) -> object:
        raise error

    return raise_it


def test_a_loop_that_raises_is_called_again_and_what_it_raised_is_told(run: Callable[[Scripted], LoopThread]) -> None:
    loop = Scripted(raising(ValueError("broken")), raising(StorageUnavailableError("away")))

    thread = run(loop)
    wait_for("a pass after the errors", lambda: thread.passes >= 2)

    told = [error["text"] for error in thread.state()["errors"]]
    assert told == ["ValueError: broken", "away"]
    assert thread.state()["state"] == "active"


def test_who_is_fenced_asks_for_the_lease_again(run: Callable[[Scripted], LoopThread], instance: Instance) -> None:
    def loses(context: LoopContext) -> object:
        Leases(instance.database, ME, ttl_s=60).release(context.held)
        raise FencedError("another process holds it")

    loop = Scripted(loses)

    thread = run(loop)
    wait_for("a pass after that", lambda: thread.passes >= 1)

    assert loop.fences[1] > loop.fences[0]
    assert thread.leases_lost == 1


def test_without_the_lease_nothing_is_done(run: Callable[[Scripted], LoopThread], instance: Instance) -> None:
    others = Leases(instance.database, OTHER, ttl_s=60)
    lease = others.acquire("scripted")
    assert lease is not None
    loop = Scripted()

    thread = run(loop)
    wait_for("standby", lambda: thread.state()["state"] == "standby")
    assert loop.passes == 0

    others.release(lease)
    thread.wake()
    wait_for("a pass", lambda: loop.passes)


def test_a_pass_that_takes_too_long_hangs_and_its_lease_is_not_renewed(run: Callable[[Scripted], LoopThread]) -> None:
    go_on = threading.Event()
    loop = Scripted(lambda _: go_on.wait(30))
    loop.budget_s = 0.05

    thread = run(loop)
    wait_for("a hanging loop", lambda: thread.state()["state"] == "hangs")
    lease = thread.lease
    go_on.set()

    assert lease is None, "who hangs keeps its lease"
    wait_for("the next pass", lambda: thread.passes >= 2)
    assert thread.lease is not None


def test_a_pass_that_waits_for_a_silent_database_does_not_hang(
    run: Callable[[Scripted], LoopThread], instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(instance.database, "_until_it_answers", lambda call: go_on.wait(30) and call())
    loop = Scripted(lambda context: context.instance.database.read("SELECT 1", {}))
    loop.budget_s = 1.0

    thread = run(loop)
    wait_for("a pass that takes too long", lambda: thread.hangs)
    lease, state = thread.lease, thread.state()["state"]
    go_on.set()

    assert lease is None, "who hangs keeps its lease"
    assert state == "database away"
    wait_for("the next pass", lambda: thread.passes >= 2)
    assert thread.state()["state"] == "active"


def test_one_that_ends_lets_go_of_its_lease(run: Callable[[Scripted], LoopThread], instance: Instance) -> None:
    loop = Scripted()
    thread = run(loop)
    wait_for("a pass", lambda: loop.passes)

    thread.stop()
    assert thread.join(30)

    assert loop.closed.is_set()
    assert Leases(instance.database, OTHER, ttl_s=60).acquire("scripted") is not None


def test_a_loop_that_needs_no_lease_asks_for_none(run: Callable[[Scripted], LoopThread], instance: Instance) -> None:
    loop = Scripted(is_leased=False)

    run(loop)
    wait_for("a pass", lambda: loop.passes)

    assert Leases(instance.database, OTHER, ttl_s=60).holder("scripted") is None
