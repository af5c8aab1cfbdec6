"""Runs whose steps are pods in Celery's queues, on a real cluster: `examples/celery` as its page says, and what bounds do when workers die."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from cluster.clusters import Cluster
from runplane.events.kinds import EventKind
from runplane.events.status import RunStatus
from runplane.storage.step_queues import StepQueues
from scale import scaled
from services import redis_server
from services.fixtures import not_to_be_had
from services.kubernetes_house import EXAMPLE as KUBERNETES_EXAMPLE
from services.kubernetes_house import POWERLESS, House
from services.postgres import PASSWORD, PostgresServer
from services.queues_on_kubernetes import (
    BROKER_PORT,
    EXAMPLE,
    IMAGE,
    QUEUED_WORKFLOWS,
    PodWatch,
    build_example_image,
    deployment,
    documents,
)
from services.redis_server import RedisServer

from .conftest import MakeHouse

DATABASE = "dagster"
PATIENCE_S = 300
STEPS_OF_NIGHTLY = 4
TTL_S = "5"
BOUNDS = {"narrow": 2, "wide": 3}
COUNT = scaled(5, long=50)


@pytest.fixture(scope="session")
def queues_image(real_cluster: Cluster, workflows_image: str) -> str:
    """The image of examples/celery, in the cluster."""
    build_example_image(workflows_image)
    real_cluster.load(IMAGE)
    return IMAGE


@pytest.fixture
def redis_master(real_cluster: Cluster, namespace: str, tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that pods of the namespace reach by its name."""
    if redis_server.program() is None:
        not_to_be_had("no program `redis-server`")
    server = RedisServer(tmp_path)
    real_cluster.name_service(namespace, "redis-master", BROKER_PORT, server.port)
    yield server
    server.stop()


# ---------------------------------------------------------------------------------------------------- the example


@pytest.fixture
def database(real_cluster: Cluster, namespace: str, postgres_server: PostgresServer) -> Iterator[str]:
    """The Postgres that the example's page asks for: its URL on this machine."""
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {DATABASE}")
    port = int(postgres_server.url().rpartition(":")[2].partition("/")[0])
    real_cluster.name_service(namespace, "postgresql", 5432, port)
    yield postgres_server.url(DATABASE)
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")


@pytest.mark.usefixtures("queues_image", "redis_master")
def test_text_4_the_example_as_its_page_says(
    real_cluster: Cluster, namespace: str, database: str, tmp_path: Path
) -> None:
    def kubectl(*words: str) -> str:
        return real_cluster.kubectl("-n", namespace, *words, timeout_s=PATIENCE_S)

    def rows(kind: str) -> list[list[str]]:
        return [line.split() for line in kubectl("get", kind, "--no-headers").splitlines()]

    # The page's namespace is `runplane`; here it is another one.
    instance = tmp_path / "instance.yaml"
    text = (EXAMPLE / "kubernetes" / "instance.yaml").read_text(encoding="utf-8")
    instance.write_text(text.replace("job_namespace: runplane", f"job_namespace: {namespace}"), encoding="utf-8")
    kubectl(
        "create", "secret", "generic", "dagster-postgresql-secret", f"--from-literal=postgresql-password={PASSWORD}"
    )
    for file in (KUBERNETES_EXAMPLE / "roles.yaml", instance, EXAMPLE / "kubernetes" / "workers.yaml"):
        kubectl("apply", "-f", str(file))
    kubectl("create", "-f", str(EXAMPLE / "kubernetes" / "launch.yaml"))

    autoscaled = 0
    end = time.monotonic() + PATIENCE_S
    while [job[1:3] for job in rows("job")] != [["Complete", "1/1"]] * (2 + STEPS_OF_NIGHTLY):
        autoscaled = max(autoscaled, asked_by_keda(database))
        assert time.monotonic() < end, what_went_wrong(real_cluster, namespace)
        time.sleep(1.0)

    names = [job[0] for job in rows("job")]
    assert sum(re.fullmatch(r"dagster-run-[0-9a-f-]{36}", name) is not None for name in names) == 1, names
    assert sum(re.fullmatch(r"dagster-step-[0-9a-f]{32}", name) is not None for name in names) == STEPS_OF_NIGHTLY
    pods = {pod[0]: pod[1:3] for pod in rows("pod")}
    workers = {name: found for name, found in pods.items() if name.startswith("dagster-celery-workers-")}
    assert Counter(name.split("-")[3] for name in workers) == {"dagster": 2, "gpu": 1}
    assert list(workers.values()) == [["1/1", "Running"]] * 3
    done = {name: found for name, found in pods.items() if name not in workers}
    assert {re.sub("-[a-z0-9]{5}$", "", name) for name in done} == set(names)
    assert list(done.values()) == [["0/1", "Completed"]] * len(names)
    assert (autoscaled, asked_by_keda(database)) == (1, 0), "one step at a time of its queue, and none after the run"

    told = kubectl("exec", "deploy/dagster-celery-workers-gpu", "--", "runplane", "celery", "worker", "list", "--json")
    slots = {queue["name"]: queue["slots"] for queue in json.loads(told)["queues"]}
    assert slots == {"dagster": 4, "gpu": 1}
    kubectl("exec", "deploy/dagster-celery-workers-gpu", "--", "runplane", "celery", "worker", "status")
    flower = documents("flower")[1]["spec"]["template"]["spec"]
    admitted = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "flower"}, "spec": flower}
    real_cluster.kubectl("create", "-n", namespace, "--dry-run=server", "-f", "-", stdin=json.dumps(admitted))


def asked_by_keda(database: str) -> int:
    """What the example's autoscaler goes by; 0 as long as there are no tables."""
    trigger = documents("keda")[1]["spec"]["triggers"][0]
    with psycopg.connect(database, autocommit=True) as connection:
        try:
            found = connection.execute(trigger["metadata"]["query"]).fetchone()
        except psycopg.errors.UndefinedTable:
            return 0
    assert found is not None
    return int(found[0])


def what_went_wrong(cluster: Cluster, namespace: str) -> str:
    logs = [
        cluster.kubectl("logs", "-n", namespace, pod["metadata"]["name"], "--tail=30", "--all-containers")
        for pod in cluster.get("pods", "-n", namespace)
        if pod["status"]["phase"] != "Pending"
    ]
    return "\n".join([cluster.kubectl("get", "job,pod,event", "-n", namespace), *logs])


# ---------------------------------------------------------------------------------------------------- bounds and deaths


class Queues:
    """A house whose steps stand in queues, with a worker for each slot of the wide one, and one for both of the narrow one's."""

    def __init__(self, house: House, image: str, **env: str) -> None:
        self.house, self._image = house, image
        self.cluster, self.namespace = house.cluster, house.namespace
        instance = (house.folder / "dagster.yaml").read_text()
        metadata = {"namespace": self.namespace, "name": "dagster-instance"}
        self.cluster.apply(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"dagster.yaml": instance}}
        )
        # The house's account with the role of examples/kubernetes that a worker needs has another name.
        env["DAGSTER_PG_USERNAME"] = "postgres"
        for made in (deployment("narrow", 1, 2, image, **env), deployment("wide", 3, 1, image, **env)):
            self._adapt(made)
            made["metadata"]["namespace"] = self.namespace
            made["spec"]["template"]["spec"]["serviceAccountName"] = "dagster"
            self.cluster.apply(made)
        self.stored = StepQueues(house.instance.database, ttl_s=float(TTL_S))

    def _adapt(self, made: dict[str, Any]) -> None:
        """For a test that has more to say."""

    def submit(self, job: str = f"two_queues_{COUNT}") -> str:
        """A run: with so many steps in each queue, if no other job is named."""
        return self.house.submit(job, image=self._image)

    def workers(self, queue: str) -> list[dict[str, Any]]:
        """Pods of the workers of a queue."""
        return list(self.cluster.get("pods", "-n", self.namespace, "-l", f"app=dagster-celery-workers-{queue}"))

    def slots(self) -> dict[str, int]:
        """Of living workers."""
        return {queue.name: queue.slots for queue in self.stored.figures()}

    def running(self) -> Counter[str]:
        """Bodies that have begun and not ended, by queue."""
        found: Counter[str] = Counter()
        for said in self.house.watcher.said:
            found[said["step"].partition("_")[0]] += 1 if said["what"] == "start" else -1
        return +found

    def watched(self, run_id: str) -> set[str | None]:
        """The workers that watch pods of the run, those that are not known any more as None."""
        living = {one.worker_id for one in self.stored.workers() if one.age_s < float(TTL_S)}
        held = [q for q in self.stored.of_run(run_id) if q.watcher is not None and q.ended is None]
        return {q.watcher if q.watcher in living else None for q in held}


@pytest.fixture
def queues_house(make_house: MakeHouse, redis_master: RedisServer, queues_image: str) -> House:
    return make_house(
        launched_by=("dagster_celery_k8s", "CeleryK8sRunLauncher"),
        code=QUEUED_WORKFLOWS,
        shared=False,
        broker=f"redis://redis-master:{BROKER_PORT}/0",
        job_image=queues_image,
        service_account_name=POWERLESS,
    )


def ended_once(queues: Queues, run_id: str) -> None:
    """Each step begun once, and its first attempt is its last."""
    house = queues.house
    assert house.wait_for_end(run_id, PATIENCE_S + 10 * COUNT) is RunStatus.SUCCESS, house.story()
    house.check(run_id)
    begun = Counter((said["step"], said["n"]) for said in house.watcher.said if said["what"] == "start")
    assert begun == {(f"{queue}_{i}", "1"): 1 for queue in BOUNDS for i in range(COUNT)}


def test_queues_bound_their_pods_with_a_worker_killed_in_between_and_a_worker_keeps_what_a_failed_pod_printed(
    queues_house: House, queues_image: str, tmp_path: Path
) -> None:
    queues = Queues(queues_house, queues_image, RUNPLANE_LEASE_TTL=TTL_S)
    house = queues.house
    house.watcher.hold(*(f"{queue}_{i}" for queue in BOUNDS for i in range(COUNT)))
    with PodWatch(house.cluster, house.namespace, tmp_path) as watch:
        run_id = queues.submit()
        house.wait_for("as many bodies as there are slots", lambda: queues.running() == BOUNDS, PATIENCE_S)

        doomed = queues.workers("wide")[0]["metadata"]["name"]
        kill(queues, doomed)
        house.wait_for("the worker's successor", lambda: restarts(queues, doomed) == 1, PATIENCE_S)
        house.wait_for("all pods to be watched", lambda: None not in queues.watched(run_id), PATIENCE_S)
        house.wait_for("all slots", lambda: queues.slots() == BOUNDS, PATIENCE_S)

        waiting = {queue.name: queue.waiting for queue in queues.stored.figures()}
        assert waiting == {queue: COUNT - bound for queue, bound in BOUNDS.items()}
        assert queues.running() == BOUNDS
        house.watcher.let_go()
        ended_once(queues, run_id)
    assert watch.most_at_once() == BOUNDS

    refused = queues.submit("refused_in_a_queue")
    assert house.wait_for_end(refused) is RunStatus.FAILURE, house.story()
    events = house.check(refused)
    (kept,) = (e for e in events if e.kind == EventKind.ENGINE_EVENT and "evidence" in e.body)
    assert kept.step == "refuses"
    assert "55 is too much" in kept.body["evidence"].splitlines()
    assert kept.seq < next(e.seq for e in events if e.kind == EventKind.RUN_FAILURE)


def kill(queues: Queues, pod: str) -> None:
    """SIGKILL for a worker, behind the cluster's back."""
    assert queues.cluster.node is not None
    queues.cluster.node.kill_container(container_of(queues, pod))


def container_of(queues: Queues, pod: str) -> str:
    (status,) = queues.cluster.get("pod", pod, "-n", queues.namespace)["status"]["containerStatuses"]
    return str(status["containerID"].partition("//")[2])


def restarts(queues: Queues, pod: str) -> int:
    """How often it was started again; -1 while it does not run."""
    (status,) = queues.cluster.get("pod", pod, "-n", queues.namespace)["status"]["containerStatuses"]
    return int(status["restartCount"]) if "running" in status["state"] else -1


class ImpatientlyProbed(Queues):
    """The probes of workers are asked more often than those of the example."""

    def _adapt(self, made: dict[str, Any]) -> None:
        made["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["periodSeconds"] = 3


@pytest.mark.long
def test_a_worker_that_hangs_is_started_again_by_its_probe_and_watches_its_pods_again(
    queues_house: House, queues_image: str
) -> None:
    queues = ImpatientlyProbed(queues_house, queues_image, RUNPLANE_LEASE_TTL=TTL_S)
    house = queues.house
    house.watcher.hold(*(f"{queue}_{i}" for queue in BOUNDS for i in range(COUNT)))
    run_id = queues.submit()
    house.wait_for("as many bodies as there are slots", lambda: queues.running() == BOUNDS, PATIENCE_S)

    (hanging,) = queues.workers("narrow")
    name = hanging["metadata"]["name"]
    assert queues.cluster.node is not None
    queues.cluster.node.freeze_container(container_of(queues, name))
    house.wait_for("a queue without a worker", lambda: None in queues.watched(run_id), PATIENCE_S)
    house.wait_for("the probe's verdict", lambda: restarts(queues, name) == 1, PATIENCE_S)
    house.wait_for("all pods to be watched", lambda: None not in queues.watched(run_id), PATIENCE_S)

    house.watcher.let_go()
    ended_once(queues, run_id)
    events = house.cluster.get("events", "-n", house.namespace, "--field-selector", f"involvedObject.name={name}")
    assert any("has not been heard of for" in event["message"] for event in events), yaml.safe_dump(events)
