"""Owner references, in every order in which a run's worker, its Job and its successor can go: no orphan, and no live step is collected."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import Any

import pytest

from runplane.events.causes import FailureCause
from runplane.executors import k8s_attempts
from runplane.kube import client as client_module
from runplane.kube.client import KubeClient
from runplane.testing.fake_cluster import FakeCluster, Fault
from services.k8s_bench import NS, A, Bench, Jobs

KILL, DELETE_FIRST, TAKE_OVER, DELETE_SECOND = "kill", "delete the first Job", "take over", "delete the second Job"
ORDERS = [
    order
    for order in permutations((KILL, DELETE_FIRST, TAKE_OVER, DELETE_SECOND))
    if order.index(KILL) < order.index(TAKE_OVER) < order.index(DELETE_SECOND)
]


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "FIRST_DELAY_S", 0.01)
    monkeypatch.setattr(k8s_attempts, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(k8s_attempts, "LONGEST_PAUSE_S", 0.2)


class Owners:
    """Two workers of a run, each in a Job of its own that owns what it makes or takes over."""

    def __init__(self, cluster: FakeCluster, client: KubeClient) -> None:
        self.cluster, self.client = cluster, client
        self.benches: list[Bench] = []
        self.step_job = Jobs().name(A)

    def owner(self, name: str) -> dict[str, Any]:
        template = {"spec": {"containers": [{"name": "dagster", "image": "i"}]}}
        made = self.client.create_job(NS, {"metadata": {"name": name}, "spec": {"template": template}})
        return {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": made["metadata"]["uid"]}

    def worker(self, name: str) -> Bench:
        self.benches.append(Bench(self.cluster, self.client, Jobs(owner=self.owner(name))))
        return self.benches[-1]

    def kill(self, bench: Bench) -> None:
        """Nothing is closed in order."""
        bench.runner._attempts.closed.set()

    def delete(self, name: str) -> None:
        """Delete a run worker's Job, and wait until the garbage collector has been through: it acts on one change after the other."""
        self.client.delete_job(NS, name)
        template = {"spec": {"containers": [{"name": "c", "image": "i"}]}}
        self.client.create_job(NS, {"metadata": {"name": f"after-{name}"}, "spec": {"template": template}})
        has_pod = lambda: any(p["metadata"]["labels"]["job-name"] == f"after-{name}" for p in self.cluster.all_pods())
        self.cluster.wait_for("the collector", has_pod)

    def owners(self) -> list[str]:
        found = self.client.get_job(NS, self.step_job)
        return [] if found is None else [one["name"] for one in found["metadata"].get("ownerReferences") or ()]

    @property
    def is_there(self) -> bool:
        return self.client.get_job(NS, self.step_job) is not None


@pytest.fixture
def owners(cluster: FakeCluster, client: KubeClient) -> Iterator[Owners]:
    made = Owners(cluster, client)
    yield made
    for bench in made.benches:
        bench.runner._attempts.closed.clear()
        bench.runner.close()


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: ", ".join(order))
def test_every_order_of_deaths(owners: Owners, order: tuple[str, ...]) -> None:
    first = owners.worker("run")
    first.starts()
    second: Bench | None = None

    for act in order:
        if act == KILL:
            owners.kill(first)
        elif act == DELETE_FIRST:
            taken_over = owners.owners() == ["run-1"]
            owners.delete("run")
            assert owners.is_there is taken_over, "a live step was collected" if taken_over else "an orphan is left"
        elif act == TAKE_OVER:
            second = owners.worker("run-1")
            was_there = owners.is_there
            second.runner.probe(A)
            if was_there:
                owners.cluster.wait_for("the new owner", lambda: owners.owners() == ["run-1"])
            else:
                second.gone()
        else:
            owners.delete("run-1")
            assert not owners.is_there, "an orphan is left"

    owners.cluster.wait_for(
        "the end of its pod", lambda: all(Jobs().name(A) not in str(p) for p in owners.cluster.all_pods())
    )


def test_a_run_that_nobody_takes_over_takes_its_steps_along(owners: Owners) -> None:
    first = owners.worker("run")
    first.starts()

    owners.kill(first)
    owners.delete("run")

    assert not owners.is_there


def test_the_time_to_live_of_the_former_workers_job_takes_nothing_that_was_taken_over(owners: Owners) -> None:
    first = owners.worker("run")
    first.starts()
    owners.kill(first)
    second = owners.worker("run-1")
    second.runner.probe(A)
    owners.cluster.wait_for("the new owner", lambda: owners.owners() == ["run-1"], 10)

    owners.client.patch_job(NS, "run", {"spec": {"ttlSecondsAfterFinished": 0}})
    owners.cluster.pod_of("run").exited(0)
    owners.cluster.wait_for("its end", lambda: owners.client.get_job(NS, "run") is None)

    assert owners.is_there
    second.nothing_is_told()


def test_an_api_that_is_away_is_asked_until_the_step_is_handed_over(owners: Owners) -> None:
    first = owners.worker("run")
    first.starts()
    owners.kill(first)
    owners.cluster.fault(Fault("patch", "jobs", times=9, status=503))

    owners.worker("run-1").runner.probe(A)

    owners.cluster.wait_for("the new owner", lambda: owners.owners() == ["run-1"])


def test_a_role_that_lost_the_verb_is_said_and_the_step_runs_on(owners: Owners) -> None:
    first = owners.worker("run")
    first.starts()
    owners.kill(first)
    owners.cluster.api.denied.add(("patch", "jobs"))
    second = owners.worker("run-1")

    second.runner.probe(A)

    owners.cluster.wait_for(
        "the note", lambda: any("could not be given its new owner" in note for note in second.notes())
    )
    assert owners.is_there
    second.nothing_is_told()


def test_a_step_that_is_to_stop_is_handed_over_and_stopped(owners: Owners) -> None:
    first = owners.worker("run")
    first.starts()
    owners.kill(first)
    second = owners.worker("run-1")

    second.runner.stop(A, 1.0, FailureCause.CANCELED)

    assert second.gone().cause is FailureCause.CANCELED
    assert not owners.is_there
