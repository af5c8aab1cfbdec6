"""The loops of one daemon: each in a thread of its own, so that one that raises or hangs holds up no other."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

from runplane.daemon.contract import LoopContext, LoopReport
from runplane.daemon.service import Service
from runplane.instance.instance import Instance


class Loop:
    """Does the same with each pass."""

    interval_s = 0.01
    budget_s = 0.05
    is_leased = True
    wakes = True

    def __init__(self, name: str, does: Callable[[], object]) -> None:
        self.name = name
        self.does = does
        self.passes = 0

    def run_once(self, context: LoopContext) -> LoopReport:
        self.passes += 1
        self.does()
        return LoopReport(0)

    def close(self) -> None:
        """Nothing to end."""


def raises() -> None:
    raise ValueError("broken")


def wait_for(what: str, is_there: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not is_there():
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(0.005)


def test_a_loop_that_raises_and_one_that_hangs_stop_no_other(tmp_path: Path) -> None:
    go_on = threading.Event()
    hanging, raising = Loop("hangs", lambda: go_on.wait(60)), Loop("raises", raises)
    working = Loop("works", lambda: None)
    file = tmp_path / "daemon.json"
    with Instance.from_home(tmp_path) as instance:
        service = Service(instance, [hanging, raising, working], ttl_s=60, file=file, say=lambda _: None)
        daemon = threading.Thread(target=service.run)
        daemon.start()
        try:
            wait_for("a loop that hangs", lambda: service.threads[0].hangs)
            wait_for("a loop that raised", lambda: service.threads[1].state()["errors"])
            seen = working.passes

            wait_for("more passes of the third loop", lambda: working.passes > seen + 20)

            wait_for("its file", lambda: told(file, "hangs") == "hangs" and told(file, "works") == "active")
            assert (hanging.passes, service.threads[2].state()["errors"]) == (1, [])
        finally:
            go_on.set()
            service.stop()
            daemon.join(60)
    assert not daemon.is_alive()
    assert not file.exists()


def told(file: Path, loop: str) -> str:
    """What the local file says of a loop."""
    try:
        return str(json.loads(file.read_text())["loops"][loop]["state"])
    except FileNotFoundError:
        return "no file yet"
