"""Runs whose worker's pod dies for good: the right end, its cause, nothing left running."""

from __future__ import annotations

import time

import pytest

from runplane.events.causes import FailureCause
from runplane.events.kinds import EventKind
from runplane.events.status import RunStatus
from runplane.testing.fake_cluster import Fault
from scale import scaled
from services.kubernetes_room import GRACE_S, MakeRoom, causes

OUTAGE_S = scaled(8, long=300)


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


def test_a_node_that_takes_the_runs_worker_and_a_step_along(make_room: MakeRoom) -> None:
    room = make_room({"max_resume_run_attempts": 3})
    run_id = room.submit("k8s", hold=["left", "right"])
    room.wait_for("two bodies", lambda: room.started(run_id, "left", "right"))
    room.daemon()

    room.pods.lose_node(room.run_pod(run_id), room.step_pod(run_id, "left"))

    room.wait_for("the lost step again", lambda: room.started(run_id, "left", n=2))
    room.let_go(run_id)
    assert room.wait_for_end(run_id) == [RunStatus.SUCCESS], room.story()
    assert causes(room.check(run_id)) == {"left": [FailureCause.NODE_LOST]}
    assert not room.started(run_id, "right", n=2), "its pod lives on another node"
    assert room.instance.journal.head(run_id).epoch == 2


def test_an_api_that_answers_nothing_but_503_loses_no_run(make_room: MakeRoom) -> None:
    """Without any budget: no answer is no death. Steps that are due wait for it."""
    room = make_room({"max_resume_run_attempts": 0})
    run_ids = [room.submit(executor, hold=["left", "right"]) for executor in ("multiprocess", "k8s")]
    for run_id in run_ids:
        room.wait_for("two bodies", lambda run_id=run_id: room.started(run_id, "left", "right"))
    room.daemon()

    fault = room.cluster.fault(Fault(status=503))
    room.cluster.cut_watches()
    for run_id in run_ids:
        room.let_go(run_id)
    asked = lambda: sum(room.cluster.counts().values())
    before = asked()
    time.sleep(OUTAGE_S)
    during = asked() - before
    room.cluster.faults.end(fault)

    assert room.wait_for_end(*run_ids) == [RunStatus.SUCCESS] * 2
    for run_id in run_ids:
        assert not causes(room.check(run_id))
        assert room.instance.journal.head(run_id).epoch == 1, "nobody took it over"
    assert 0 < during < 20 * OUTAGE_S, "it was asked again, with pauses"
