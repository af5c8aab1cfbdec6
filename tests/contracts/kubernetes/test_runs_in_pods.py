"""Runs in pods under a daemon: their workers are killed, and they are canceled, at any moment. Pods are processes of this machine."""

from __future__ import annotations

import random
import time

import pytest

from runplane.events.status import RunStatus
from scale import scaled
from services.kubernetes_room import GRACE_S, KubernetesRoom, MakeRoom

EXECUTORS = ("multiprocess", "k8s")
POINTS = {"multiprocess": range(1, 27), "k8s": range(1, 23)}
"""Numbered database calls that a worker makes in every run; a call has a point before and one after it."""
KILLED = {"multiprocess": scaled(7, long=50), "k8s": scaled(3, long=50)}
"""Runs of each executor whose worker is killed."""
CANCELED = scaled(5, long=50)
"""Runs of each executor that are canceled."""
AT_ONCE = 5
SURE_POINTS = {"multiprocess": 8, "k8s": 4}
"""Where the database is slow, a worker's commits hold more each; so many points it has."""


def points(executor: str) -> list[int]:
    dice, every = random.Random(executor), list(POINTS[executor])
    return (dice.sample(every, len(every)) * 3)[: KILLED[executor]]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_run_whose_workers_pod_is_killed_at_any_point_is_gone_on_with(
    make_room: MakeRoom, postgres_url: str, executor: str
) -> None:
    room = make_room(database=postgres_url)
    room.daemon()
    for start in range(0, KILLED[executor], AT_ONCE):
        chosen = {room.create(executor): point for point in points(executor)[start : start + AT_ONCE]}
        room.pods.crash_at |= {run_id: (point,) for run_id, point in chosen.items()}
        for run_id in chosen:
            room.launch(run_id)

        ends = room.wait_for_end(*chosen)

        assert ends == [RunStatus.SUCCESS] * len(chosen), f"{chosen}\n{room.story()}"
        for run_id, point in chosen.items():
            goes_on(room, run_id, point, sure=point <= SURE_POINTS[executor])


def goes_on(room: KubernetesRoom, run_id: str, point: int, *, sure: bool) -> None:
    """Its first worker was killed at its point, a second one ended the run, and nothing of it is left."""
    room.check(run_id)
    (first,) = [p for p in room.pods_of(run_id) if p["metadata"]["labels"]["job-name"] == f"dagster-run-{run_id}"]
    ended = first["status"]["containerStatuses"][0]["state"]["terminated"]
    if ended["exitCode"] != 0 or sure:
        assert ended["exitCode"] == 137, f"a worker's part of the run has fewer than {point} points"
    room.wait_for_no_pod(run_id, GRACE_S + 5)


def test_workers_that_die_before_they_take_the_run_over_are_replaced_too(make_room: MakeRoom) -> None:
    """Each has a Job of its own: one that is over would be taken for the new one."""
    room = make_room()
    room.daemon()
    run_id = room.create("multiprocess")
    room.pods.crash_at[run_id] = (1, 1, 1)

    room.launch(run_id)

    assert room.wait_for_end(run_id) == [RunStatus.SUCCESS], room.story()
    room.check(run_id)
    assert len(room.pods_of(run_id)) == 4


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_run_that_is_canceled_at_any_moment_leaves_no_pod(
    make_room: MakeRoom, postgres_url: str, executor: str
) -> None:
    room = make_room(database=postgres_url)
    room.daemon()
    dice = random.Random(f"cancel {executor}")
    for _ in range(0, CANCELED, AT_ONCE):
        run_ids = [room.submit(executor, hold=["last"]) for _ in range(AT_ONCE)]
        for run_id in run_ids:
            time.sleep(dice.uniform(0.0, 1.0))  # the moment is what is tried

            room.instance.cancel(run_id)

        room.wait_for_end(*run_ids)
        for run_id in run_ids:
            room.wait_for_no_pod(run_id, GRACE_S + 5)
            assert room.status(run_id) is RunStatus.CANCELED
            room.check(run_id)
