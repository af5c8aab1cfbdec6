"""A broker that goes away and comes back, again and again, while steps wait in its queues."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from runplane.events.status import RunStatus
from services.queue_workers import QueueSystem

END_S = 120.0


def resumed_after(
    queues: QueueSystem, run_id: str, outages: Sequence[Callable[[], Any]], start: Callable[[], Any]
) -> list[float]:
    """Seconds from each return of the broker to the next step's begin, in a run of ``turns`` whose steps are taken one by one.

    Args:
        outages: each takes the broker away, and returns when it is to come back.
        start: brings it back, and returns when it answers.
    """
    begun: list[str] = []

    def next_begins() -> bool:
        new = [b["step"] for b in queues.bodies(run_id, "start") if b["step"] not in begun]
        begun.extend(new)
        return bool(new)

    queues.wait_for("the first step", next_begins, 60)
    found = []
    for outage in outages:
        outage()
        queues.open_gate(begun[-1])
        start()
        back = time.monotonic()
        queues.wait_for("the next step", next_begins, 60)
        found.append(time.monotonic() - back)
    queues.open_gate(begun[-1])
    queues.wait_for_status(run_id, RunStatus.SUCCESS, timeout_s=END_S)
    queues.check(run_id)
    assert len(begun) == len(outages) + 1
    assert queues.completed(run_id) == dict.fromkeys(begun, 1)
    print("taken again after", ", ".join(f"{seconds:.1f}" for seconds in found), "s")
    return found
