"""Runs on a real cluster whose worker's pod is killed, and that are canceled, at any moment of their life."""

from __future__ import annotations

import functools
import itertools
import random
import time
import uuid

from runplane.events.status import RunStatus
from scale import scaled
from services.fixtures import not_to_be_had
from services.kubernetes_house import House, MakeHouse

JOBS = ("two", "two_k8s")
BEGINS = ("", "")
"""Its worker's pod runs (to be killed), or it is launched (to be canceled)."""
POINTS = (BEGINS, *itertools.product(("start", "end"), ("first", "last")))
"""What a body says it is about to do."""
ROUNDS = scaled(1, long=5)
"""Of ten runs each."""
AT_ONCE = 5
RESUMES = 10
"""More than are needed: a worker that a busy machine keeps from beating is replaced too."""
GRACE_S = 30.0
"""Of pods, as Kubernetes has it."""


def kill_worker(house: House, run_id: str) -> None:
    """SIGKILL the first process of the run's first pod, once it runs."""
    found: list[str] = []

    def runs() -> bool:
        of_worker = [p for p in house.pods() if p["metadata"]["labels"]["job-name"] == f"dagster-run-{run_id}"]
        found.extend(p["metadata"]["name"] for p in of_worker if p["status"]["phase"] == "Running")
        return bool(found)

    house.wait_for("the worker's pod", runs)
    assert house.cluster.node is not None
    house.cluster.node.kill_container(house.container_of(found[0]))


def nothing_is_left(house: House, run_id: str) -> bool:
    return not house.live_pods(run_id) and not house.unfinished_jobs(run_id)


def test_a_run_whose_workers_pod_is_killed_at_any_point_is_gone_on_with(make_house: MakeHouse) -> None:
    house = make_house(resumes=RESUMES)
    if house.cluster.node is None:
        not_to_be_had("the cluster's containers are not ours to kill")
    cases = list(itertools.product(JOBS, POINTS)) * ROUNDS
    with house.daemon():
        for start in range(0, len(cases), AT_ONCE):
            runs = {str(uuid.uuid4()): case for case in cases[start : start + AT_ONCE]}
            for run_id, (job, point) in runs.items():
                house.watcher.strikes[(run_id, *point)] = functools.partial(kill_worker, house, run_id)
                house.submit(job, run_id=run_id)
            for run_id in [run_id for run_id, (_, point) in runs.items() if point is BEGINS]:
                kill_worker(house, run_id)

            for run_id, case in runs.items():
                assert house.wait_for_end(run_id) is RunStatus.SUCCESS, f"{case}\n{house.story()}"
                house.check(run_id)
                assert house.has_pod(f"dagster-run-{run_id}-1"), f"{case}: its first worker ended it"
                house.wait_for("the end of all its pods", lambda run_id=run_id: nothing_is_left(house, run_id))


def test_a_run_that_is_canceled_at_any_moment_leaves_no_pod(make_house: MakeHouse) -> None:
    house = make_house(resumes=RESUMES)
    dice = random.Random("cancel")
    house.watcher.hold("last")
    cases = [(job, dice.choice(POINTS[:-1]), dice.uniform(0.0, 1.0)) for job in JOBS * 5 * ROUNDS]
    with house.daemon():
        for start in range(0, len(cases), AT_ONCE):
            moments = {house.submit(job): (point, delay) for job, point, delay in cases[start : start + AT_ONCE]}

            cancel_all(house, moments)

            for run_id, moment in moments.items():
                assert house.wait_for_end(run_id) is RunStatus.CANCELED, f"{moment}\n{house.story()}"
                left = lambda run_id=run_id: nothing_is_left(house, run_id)
                house.wait_for("the end of all its pods", left, GRACE_S + 5)
                house.check(run_id)


def cancel_all(house: House, moments: dict[str, tuple[tuple[str, str], float]]) -> None:
    """Cancel each run so many seconds after its body has said something."""
    due: dict[str, float] = {}
    canceled: set[str] = set()

    def all_are() -> bool:
        for run_id, (point, delay) in moments.items():
            if point is BEGINS or house.has_said(run_id, *point):
                due.setdefault(run_id, time.monotonic() + delay)
            if run_id not in canceled and due.get(run_id, float("inf")) <= time.monotonic():
                house.instance.cancel(run_id)
                canceled.add(run_id)
        return canceled == set(moments)

    house.wait_for("all moments", all_are)
