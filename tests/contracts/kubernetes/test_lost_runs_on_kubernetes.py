"""Runs whose worker's pod dies for good: the right end, its cause, nothing left running."""

from __future__ import annotations

import pytest

from runplane.events.kinds import EventKind
from runplane.events.status import RunStatus
from services.kubernetes_room import GRACE_S, MakeRoom


@pytest.mark.parametrize("executor", ["multiprocess", "k8s"])
def test_without_a_budget_a_run_that_lost_its_worker_fails_and_its_steps_are_stopped(
    make_room: MakeRoom, executor: str
) -> None:
    room = make_room({"max_resume_run_attempts": 0})
    run_id = room.submit(executor, hold=["left", "right"])
    room.wait_for("two bodies", lambda: room.started(run_id, "left", "right"))
    room.daemon()

    room.pods.kill(room.run_pod(run_id))

    assert room.wait_for_end(run_id) == [RunStatus.FAILURE]
    room.wait_for_no_pod(run_id, GRACE_S + 5)
    events = room.check(run_id)
    (end,) = [e for e in events if e.kind == EventKind.RUN_FAILURE]
    assert "Detected that the run's worker is gone" in end.body["message"]
    assert not any(e.kind == EventKind.STEP_SUCCESS and e.step != "first" for e in events)
