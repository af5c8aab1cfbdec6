"""A daemon that has worked for long is as it was: no memory, descriptor or thread is kept for runs that are over.

Short: is it flat over some hundred runs and thousands of ticks. Long: less than a megabyte for 10,000 runs, over 100,000 ticks. A daemon at its
own pace takes hours for those, so here its loops are called as soon as they may be.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psutil
import pytest

from runplane.storage.daemons import Daemons
from scale import scaled
from services.daemons import DaemonRoom, Workers

WARM_UP = scaled(40, long=2000)
RUNS = scaled(100, long=10_000)
TICKS = scaled(2000, long=100_000)
EVERY_S = 0.02
AT_ONCE = 20
GROWS_AT_MOST = scaled(3, long=1) * 1_000_000
"""In bytes. Of few runs most of what grows is still warming up."""
MakeRoom = Callable[..., DaemonRoom]


class Seen:
    """What a daemon's process holds, and how often its loops were called."""

    def __init__(self, room: DaemonRoom, process: psutil.Process) -> None:
        memory = process.memory_full_info()
        self.memory = memory.uss
        self.descriptors = process.num_fds()
        self.threads = process.num_threads()
        self.ticks = ticks(room)


def ticks(room: DaemonRoom) -> int:
    rows: list[Any] = Daemons(room.instance.database).all()
    return sum(loop["passes"] for row in rows for loop in row.body["loops"].values())


def work_off(room: DaemonRoom, runs: int) -> None:
    """Have so many runs submitted, launched and ended, some at a time."""
    with Workers(room) as workers:
        for done in range(0, runs, AT_ONCE):
            for _ in range(AT_ONCE):
                room.submit()
            room.wait_for("the end of these runs", lambda done=done: len(workers.finished) >= done + AT_ONCE, 120)


@pytest.mark.timeout(scaled(240, long=2 * 3600))
def test_nothing_is_kept_of_runs_that_are_over(postgres_room: MakeRoom) -> None:
    room = postgres_room(
        max_concurrent_runs=AT_ONCE, more="run_monitoring: {enabled: true, poll_interval_seconds: 1}\n"
    )
    process = psutil.Process(room.start(every_s=EVERY_S).pid)
    work_off(room, WARM_UP)
    before = Seen(room, process)

    work_off(room, RUNS)
    room.wait_for("the ticks", lambda: ticks(room) - before.ticks >= TICKS, scaled(120, long=3600))

    after = Seen(room, process)
    assert after.memory - before.memory < GROWS_AT_MOST
    assert after.descriptors <= before.descriptors + 2
    assert after.threads <= before.threads + 1
