"""Steps that are pods in queues, made and watched by real workers; the cluster is one in memory."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from runplane.events.kinds import EventKind as K
from runplane.events.status import RunStatus
from runplane.testing.fake_cluster import FakeCluster, Fault
from scale import scaled
from services.pod_queues import PodProcesses, PodQueues, PodWords
from services.redis_server import RedisServer

END_S = 120.0
FOUR = {f"work_{i}": 1 for i in range(4)}
LEAVES_WITHIN_S = 10.0
AGAIN_AFTER_A_SECOND = {"broker_transport_options": {"visibility_timeout": 1}}
MakePods = Callable[..., PodQueues]


@pytest.fixture
def pods() -> Iterator[PodProcesses]:
    made = PodProcesses()
    yield made
    made.close()


@pytest.fixture
def cluster(pods: PodProcesses) -> Iterator[FakeCluster]:
    with FakeCluster(lambda _: pods) as made:
        yield made
        made.end_faults()
        assert made.errors == []


@pytest.fixture
def make_pods(tmp_path: Path, cluster: FakeCluster) -> Iterator[MakePods]:
    """Makes a system whose steps are pods; without a broker unless one is given."""
    made: list[PodQueues] = []

    def make(broker: str = "database", **options: Any) -> PodQueues:
        folder = tmp_path / f"system-{len(made)}"
        folder.mkdir()
        made.append(PodQueues(folder, broker, cluster, **options))
        return made[-1]

    yield make
    for system in made:
        system.close()


def words(system: PodQueues, cluster: FakeCluster, seconds: float) -> PodWords:
    """Pods that are no processes, for many of them."""
    made = PodWords(system.instance, seconds)
    cluster.program = lambda _: made
    return made


def succeeded_at_once(system: PodQueues, run_id: str) -> None:
    """Each body came to its end once, at its first attempt, and none was given up."""
    assert system.status(run_id) is RunStatus.SUCCESS, system.story(run_id)
    system.check(run_id)
    assert system.completed(run_id) == FOUR
    assert system.kinds(run_id)[K.STEP_SEALED] == 0, system.story(run_id)
    assert {b["n"] for b in system.bodies(run_id)} == {1}
    system.wait_for("the last pod to be told of", lambda: system.queued() == 0)


def test_a_run_of_pods_by_redis(make_pods: MakePods, redis_broker: RedisServer, cluster: FakeCluster) -> None:
    system = make_pods(redis_broker.url)
    worker = system.queue_worker("-A", "dagster_celery_k8s.app", "-q", "work", "-c", "2")
    run_id = system.create("four")

    assert system.run_to_end(run_id, END_S) == 0

    succeeded_at_once(system, run_id)
    jobs = cluster.all_jobs()
    assert len(jobs) == 4
    assert all(
        job["spec"]["template"]["spec"]["containers"][0]["args"][-2] == "--compressed-input-json" for job in jobs
    )
    told = [e.body.get("message", "") for e in system.events(run_id)]
    assert sum("picked up by Celery" in text for text in told) == 4
    assert system.probe(worker).returncode == 0
    assert cluster.counts()["watch pods"] == 1


def test_a_killed_workers_pods_go_on_and_are_adopted(make_pods: MakePods) -> None:
    system = make_pods()
    doomed = system.queue_worker("-q", "work", "-c", "4")
    run_id = system.create("four_held")
    coordinator = system.worker(run_id)
    system.wait_for("four bodies", lambda: len(system.bodies(run_id, "start")) == 4, 60)

    doomed.kill()
    doomed.wait()
    heir = system.queue_worker("-q", "work", "-c", "1")

    system.wait_for("the adoption", lambda: system.state(heir)["pods"] == 4, 60)
    system.open_gate()
    assert coordinator.wait(END_S) == 0
    succeeded_at_once(system, run_id)


def test_a_rolling_update_of_all_workers_hands_every_pod_over(make_pods: MakePods, cluster: FakeCluster) -> None:
    system = make_pods(width=5)
    pods = words(system, cluster, 0.1)
    pods.are_held = True
    living = [system.queue_worker("-q", "narrow", "-q", "wide", "-c", "5") for _ in range(2)]
    run_id = system.create("many")
    coordinator = system.worker(run_id)
    system.wait_for("all pods", lambda: len(pods.counted.begun) == 10, 60)

    for leaving in list(living):
        began = time.monotonic()
        leaving.send_signal(signal.SIGTERM)
        assert leaving.wait(60) == 0
        assert time.monotonic() - began < LEAVES_WITHIN_S
        living = [*living[1:], system.queue_worker("-q", "narrow", "-q", "wide", "-c", "5")]
        system.wait_for("the adoption", lambda two=living: sum(system.state(one)["pods"] for one in two) == 10, 60)
    pods.are_held = False

    assert coordinator.wait(END_S) == 0
    assert system.status(run_id) is RunStatus.SUCCESS, system.story(run_id)
    system.check(run_id)
    assert pods.counted.begun == pods.succeeded == {f"{name}_{i}": 1 for name in ("narrow", "wide") for i in range(5)}
    assert system.kinds(run_id)[K.STEP_SUCCESS] == 10
    assert system.kinds(run_id)[K.STEP_SEALED] == 0, system.story(run_id)


@pytest.mark.long
def test_a_worker_that_dies_before_its_job_is_made_is_succeeded_by_one_that_makes_it(
    make_pods: MakePods, cluster: FakeCluster
) -> None:
    system = make_pods()
    cluster.fault(Fault("create", "jobs", hang=True))
    doomed = system.queue_worker("-q", "work", "-c", "4")
    run_id = system.create("four")
    coordinator = system.worker(run_id)
    system.wait_for("the taking", lambda: system.state(doomed)["pods"] == 4, 60)

    doomed.kill()
    doomed.wait()
    cluster.end_faults()
    system.queue_worker("-q", "work", "-c", "4")

    assert coordinator.wait(END_S) == 0
    succeeded_at_once(system, run_id)
    assert len(cluster.all_jobs()) == 4


@pytest.mark.long
def test_a_cancel_deletes_the_jobs_of_a_worker_that_is_dead(make_pods: MakePods, cluster: FakeCluster) -> None:
    system = make_pods(nap_s=60.0)
    doomed = system.queue_worker("-q", "work", "-c", "2")
    run_id = system.create("four")
    coordinator = system.worker(run_id)
    system.wait_for("two bodies", lambda: len(system.bodies(run_id, "start")) == 2, 60)
    doomed.kill()
    doomed.wait()

    system.instance.cancel(run_id)
    system.queue_worker("-q", "work", "-c", "2")

    assert coordinator.wait(END_S) == 0
    assert system.status(run_id) is RunStatus.CANCELED, system.story(run_id)
    # The run ends without them when the second worker is not there within a lease.
    system.wait_for("the end of its Jobs", lambda: cluster.all_jobs() == [] and system.pods() == [], 60)
    system.wait_for("the end of all rows", lambda: system.queued() == 0)


def test_a_cancel_without_any_worker_ends_and_the_next_worker_deletes_what_was_left(
    make_pods: MakePods, cluster: FakeCluster
) -> None:
    system = make_pods(nap_s=600.0)
    leaving = system.queue_worker("-q", "work", "-c", "2")
    run_id = system.create("four")
    coordinator = system.worker(run_id)
    system.wait_for("two bodies", lambda: len(system.bodies(run_id, "start")) == 2, 60)
    leaving.send_signal(signal.SIGTERM)
    assert leaving.wait(60) == 0

    system.instance.cancel(run_id)

    assert coordinator.wait(END_S) == 0
    assert system.status(run_id) is RunStatus.CANCELED, system.story(run_id)
    left = [job["metadata"]["name"] for job in cluster.all_jobs()]
    told = [str(e.body.get("message")) for e in system.events(run_id)]
    assert len(left) == 2
    assert all(any(f"{name} was not deleted" in text for text in told) for name in left), told
    system.queue_worker("-q", "work", "-c", "2")
    system.wait_for("the end of what was left", lambda: cluster.all_jobs() == [] and system.pods() == [], 60)
    system.wait_for("the end of all rows", lambda: system.queued() == 0)


@pytest.mark.long
def test_a_pod_that_takes_too_long_ends_its_step(make_pods: MakePods, cluster: FakeCluster) -> None:
    system = make_pods(nap_s=60.0, job_wait_timeout=2.0)
    system.queue_worker("-q", "work", "-c", "4")
    run_id = system.create("four")

    assert system.run_to_end(run_id, END_S) == 0

    assert system.status(run_id) is RunStatus.FAILURE, system.story(run_id)
    failed = system.last(run_id, K.STEP_FAILURE)
    assert "job_wait_timeout" in str(failed.body), failed.body
    assert cluster.all_jobs() == []


def test_queues_bound_their_pods_with_every_worker_killed_in_between(
    make_pods: MakePods, redis_broker: RedisServer, cluster: FakeCluster
) -> None:
    count = scaled(8, long=50)
    system = make_pods(redis_broker.url, width=count, config_source=AGAIN_AFTER_A_SECOND)
    pods = words(system, cluster, 0.1)
    pods.are_held = True
    workers = [("narrow", "2"), ("wide", "2"), ("wide", "1")]
    living = [system.queue_worker("-q", queue, "-c", slots) for queue, slots in workers]
    run_id = system.create("many")
    coordinator = system.worker(run_id)
    system.wait_for("both bounds", lambda: pods.counted.most == {"narrow": 2, "wide": 3}, 60)

    for doomed, (queue, slots) in zip(living, workers, strict=True):
        doomed.kill()
        doomed.wait()
        system.queue_worker("-q", queue, "-c", slots)
    pods.are_held = False

    assert coordinator.wait(END_S) == 0
    assert system.status(run_id) is RunStatus.SUCCESS, system.story(run_id)
    assert pods.counted.most == {"narrow": 2, "wide": 3}
    assert set(pods.counted.begun.values()) == set(pods.succeeded.values()) == {1}
    assert len(pods.succeeded) == 2 * count


@pytest.mark.long
def test_a_worker_killed_each_second_on_a_broker_that_delivers_again_after_one(
    make_pods: MakePods, redis_broker: RedisServer, cluster: FakeCluster
) -> None:
    system = make_pods(redis_broker.url, width=100, config_source=AGAIN_AFTER_A_SECOND)
    pods = words(system, cluster, 5.0)
    living = [system.queue_worker("-q", "narrow", "-q", "wide", "-c", "5") for _ in range(4)]
    run_id = system.create("many")
    coordinator = system.worker(run_id)

    kills = 0
    while coordinator.poll() is None:
        began = time.monotonic()
        living[0].kill()
        living[0].wait()
        living = [*living[1:], system.queue_worker("-q", "narrow", "-q", "wide", "-c", "5")]
        kills += 1
        time.sleep(
            max(began + 1.0 - time.monotonic(), 0.0)
        )  # what is wanted is a kill each second, wherever the run stands

    assert coordinator.wait(END_S) == 0
    assert system.status(run_id) is RunStatus.SUCCESS, system.story(run_id)
    system.check(run_id)
    assert set(pods.counted.begun.values()) == set(pods.succeeded.values()) == {1}
    assert len(pods.succeeded) == 200
    assert system.kinds(run_id)[K.STEP_SEALED] == 0, system.story(run_id)
    print(f"{kills} kills")


def test_many_pods_cost_a_worker_little(make_pods: MakePods, cluster: FakeCluster) -> None:
    count = scaled(20, long=250)
    system = make_pods(width=count)
    words(system, cluster, 3600.0)
    worker = system.queue_worker("-q", "narrow", "-q", "wide", "-c", str(2 * count))
    run_id = system.create("many")
    coordinator = system.worker(run_id)

    system.wait_for("all pods", lambda: len(system.pods()) == 2 * count, END_S)
    system.wait_for("all slots", lambda: system.state(worker)["used"] == 2 * count)
    process = psutil.Process(worker.pid)
    threads, memory = process.num_threads(), process.memory_info().rss

    assert threads <= 45, "a slot costs no thread"
    assert memory < 300 * 2**20
    counts = cluster.counts()
    assert counts.pop("create jobs") == 2 * count
    assert (counts.pop("watch jobs"), counts.pop("watch pods")) == (1, 1)
    assert sum(counts.values()) <= 5, counts
    system.instance.cancel(run_id)
    assert coordinator.wait(END_S) == 0
    system.wait_for("the end of all rows", lambda: system.queued() == 0, END_S)
    assert system.pods() == []
    print(f"{2 * count} pods: {threads} threads, {memory >> 20} MiB, pid {os.getpid()}")
