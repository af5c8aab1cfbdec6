"""One watch for Jobs and one for pods: nothing is missed, whatever becomes of the watches."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runplane.kube import client as client_module
from runplane.kube.access import cluster_access
from runplane.kube.client import KubeClient
from runplane.kube.follower import Pace
from runplane.kube.health import judge
from runplane.kube.verdict import Health
from runplane.kube.watch import JobWatch
from runplane.testing.fake_cluster import FakeCluster, Fault

NS = "default"
PACE = Pace(watch_s=60, stall_s=0.5, resync_s=60, list_s=0.1, first_pause_s=0.02, longest_away_s=0.1, refused_s=0.1)


@pytest.fixture(autouse=True)
def short_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "FIRST_DELAY_S", 0.01)


class Watching:
    def __init__(self, client: KubeClient) -> None:
        self._changed = threading.Condition()
        self.told: list[str] = []
        self.watch = JobWatch(client, NS, "run=r", self._tell, PACE)

    def _tell(self, job: str) -> None:
        with self._changed:
            self.told.append(job)
            self._changed.notify_all()

    def wait(self, what: str, is_so: Callable[[], bool], seconds: float = 30.0) -> None:
        with self._changed:
            assert self._changed.wait_for(is_so, seconds), f"{what}: {self.told}"

    def health(self, job: str) -> Health:
        return judge(self.watch.observed(job)).health

    def row(self, job: str) -> str:
        return judge(self.watch.observed(job)).row


@pytest.fixture
def watching(cluster: FakeCluster, client: KubeClient) -> Iterator[Watching]:
    cluster.api.bookmark_s = 0.2
    made = Watching(client)
    made.watch.start()
    yield made
    made.watch.close()


def create(client: KubeClient, name: str, **labels: str) -> None:
    meta = {"labels": {"run": "r", **labels}}
    template = {"metadata": meta, "spec": {"containers": [{"name": "main", "image": "i"}]}}
    job = {"metadata": {"name": name, **meta}, "spec": {"backoffLimit": 0, "template": template}}
    client.create_job(NS, job)


def test_a_job_from_its_creation_to_its_end(cluster: FakeCluster, client: KubeClient, watching: Watching) -> None:
    assert watching.row("a") == "job not seen"
    create(client, "a")
    watching.wait("its run", lambda: watching.health("a") is Health.ALIVE)

    cluster.pod_of("a").exited(137, "OOMKilled")

    watching.wait("its end", lambda: watching.row("a") == "out of memory, container killed")
    assert watching.watch.observed("a").job is not None


def test_what_was_deleted_is_told_by_what_was_seen_last(
    cluster: FakeCluster, client: KubeClient, watching: Watching
) -> None:
    create(client, "a")
    watching.wait("its run", lambda: watching.health("a") is Health.ALIVE)
    cluster.pod_of("a").condition("DisruptionTarget", "True", "EvictionByEvictionAPI", "drained")

    cluster.pod_of("a").vanish()

    watching.wait("its end", lambda: watching.row("a") == "evicted on request")


def test_there_is_one_watch_for_jobs_and_one_for_pods(
    cluster: FakeCluster, client: KubeClient, watching: Watching
) -> None:
    for i in range(30):
        create(client, f"j{i}")
    watching.wait("all", lambda: all(watching.health(f"j{i}") is Health.ALIVE for i in range(30)))

    counts = cluster.counts()
    assert (counts["watch jobs"], counts["watch pods"]) == (1, 1)
    assert (counts["list jobs"], counts["list pods"], counts["get pods"]) == (1, 1, 0)


@pytest.mark.parametrize("accident", ["cut", "expired", "frozen", "away", "5xx"])
def test_what_happens_while_a_watch_is_deaf_is_seen(
    cluster: FakeCluster, client: KubeClient, watching: Watching, accident: str
) -> None:
    create(client, "a")
    watching.wait("its run", lambda: watching.health("a") is Health.ALIVE)
    pod = cluster.pod_of("a")

    if accident == "cut":
        cluster.cut_watches()
    elif accident == "expired":
        cluster.fault(Fault("watch", "", times=2, status=503))
        cluster.cut_watches()
    elif accident == "frozen":
        cluster.freeze_watches()
    elif accident == "away":
        cluster.stop_api()
    else:
        cluster.fault(Fault("", "", times=20, status=503))
        cluster.cut_watches()
    pod.exited(3)
    cluster.wait_for("the Job's end", lambda: "Failed" in str(cluster.all_jobs()[0]["status"].get("conditions")))
    if accident == "expired":
        cluster.expire_watches()
    elif accident == "frozen":
        cluster.faults.frozen.clear()
    elif accident == "away":
        cluster.start_api()

    watching.wait("the end", lambda: watching.row("a") == "crashed")


def test_an_expired_version_is_listed_again_and_what_went_meanwhile_is_gone(
    cluster: FakeCluster, client: KubeClient, watching: Watching
) -> None:
    create(client, "a")
    create(client, "b")
    watching.wait("their run", lambda: watching.health("a") is watching.health("b") is Health.ALIVE)
    lists = cluster.counts()["list jobs"]

    cluster.faults.frozen.set()
    cluster.store.remove("jobs", NS, "a")
    cluster.wait_for("the pod's end", lambda: len(cluster.all_pods()) == 1)
    cluster.expire_watches()
    cluster.faults.frozen.clear()

    is_gone = lambda: watching.watch.observed("a").job is None and watching.health("a") is Health.GONE
    watching.wait("the end", is_gone, seconds=12)
    assert watching.health("b") is Health.ALIVE
    assert cluster.counts()["list jobs"] > lists
    relists = [a for a in cluster.faults.log if (a.verb, a.resource) == ("list", "jobs")][lists:]
    assert not relists[0].cached, "after 410 the cache may be what is too old"


def test_bookmarks_keep_a_watch_young_that_has_nothing_to_tell(
    cluster: FakeCluster, client: KubeClient, watching: Watching
) -> None:
    """Others' Jobs make versions go by. A watch of the version of its last list would be refused as too old, and list all anew."""
    assert watching.watch.wait_until_synced(20)
    for i in range(3):
        create(client, f"other{i}", run="another")
    cluster.wait_for("their pods", lambda: len(cluster.all_pods()) == 3)
    now = cluster.store.version
    versions = lambda: [int(follower._version) for follower in watching.watch._followers]
    cluster.wait_for("bookmarks", lambda: min(versions()) >= now)

    for resource in ("jobs", "pods"):
        cluster.store.forget(resource, now)
    cluster.cut_watches()
    create(client, "a")
    watching.wait("its run", lambda: watching.health("a") is Health.ALIVE)

    counts = cluster.counts()
    assert (counts["list jobs"], counts["list pods"]) == (1, 1)


def test_now_and_then_it_lists_though_the_watch_goes_well(cluster: FakeCluster, client: KubeClient) -> None:
    pace = replace(PACE, watch_s=1.5, stall_s=60, resync_s=0.2)  # each watch ends after its second, in order
    watch = JobWatch(client, NS, "run=r", lambda job: None, pace)
    watch.start()

    cluster.wait_for("a third list", lambda: cluster.counts()["list pods"] >= 3)

    watch.close()
    lists = [asked for asked in cluster.faults.log if (asked.verb, asked.resource) == ("list", "pods")]
    assert [asked.cached for asked in lists[:3]] == [False, True, True]


def test_without_the_verb_watch_it_lists(cluster: FakeCluster, tmp_path: Path) -> None:
    cluster.api.denied |= {("watch", "jobs"), ("watch", "pods")}
    client = KubeClient(cluster_access(kubeconfig_file=str(cluster.kubeconfig(tmp_path))))
    watching = Watching(client)
    watching.watch.start()
    create(client, "a")

    watching.wait("its run", lambda: watching.health("a") is Health.ALIVE)
    cluster.pod_of("a").exited(0)
    watching.wait("its end", lambda: watching.health("a") is Health.GONE)

    counts = cluster.counts()
    assert (counts["watch jobs"], counts["watch pods"]) == (1, 1), "it went on to ask for what it may not have"
    assert any(a.cached for a in cluster.faults.log if a.verb == "list")
    watching.watch.close()
    client.close()


def test_an_outage_is_known_and_over_when_it_is_over(
    cluster: FakeCluster, client: KubeClient, watching: Watching
) -> None:
    assert watching.watch.wait_until_synced(20)
    cluster.fault(Fault("", "", status=503))
    cluster.cut_watches()
    cluster.wait_for("the trouble", lambda: watching.watch.outage is not None)

    cluster.end_faults()

    cluster.wait_for("its end", lambda: watching.watch.outage is None)


def test_refusals_of_an_image_are_counted_once_each(
    cluster: FakeCluster, client: KubeClient, watching: Watching
) -> None:
    create(client, "a")
    watching.wait("its run", lambda: watching.health("a") is Health.ALIVE)
    pod = cluster.pod_of("a")
    for _ in range(3):
        assert watching.row("a") != "image missing"
        pod.waiting("ErrImagePull", "manifest unknown: not found")
        pod.waiting("ImagePullBackOff", "Back-off pulling image")

    watching.wait("the verdict", lambda: watching.row("a") == "image missing")


def test_a_list_from_a_cache_that_lags_takes_nothing_back(client: KubeClient, watching: Watching) -> None:
    def job(version: str, **status: Any) -> dict[str, Any]:
        return {"metadata": {"name": "a", "resourceVersion": version}, "spec": {}, "status": status}

    watch = watching.watch
    watch.take("jobs", "ADDED", job("7", failed=1))

    watch.take("jobs", "MODIFIED", job("5"))
    watch.replace("jobs", client_module.Listing([], "6"))

    assert watch.observed("a").failed_count == 1
