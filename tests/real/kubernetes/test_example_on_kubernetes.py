"""`examples/kubernetes` as its page says: a person applies the files, and watches. Roles are exactly those of its file."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cluster.clusters import RESTRICTED, Cluster
from services.fixtures import not_to_be_had
from services.kubernetes_house import EXAMPLE
from services.postgres import PASSWORD, PostgresServer

NAMESPACE = "runplane"
DATABASE = "dagster"
IMAGE = "runplane-example:1"
PATIENCE_S = 180


@pytest.fixture
def prepared(
    real_cluster: Cluster, workflows_image: str, postgres_server: PostgresServer, tmp_path: Path
) -> Iterator[Cluster]:
    """What a person brings: the image, the namespace, a Postgres of that name, storage that pods share."""
    if real_cluster.node is None:
        not_to_be_had("the cluster's storage is not ours to make")
    build = ["docker", "build", "-q", "-t", IMAGE, "--build-arg", f"BASE={workflows_image}", str(EXAMPLE)]
    subprocess.run(build, check=True, capture_output=True)
    real_cluster.load(IMAGE)
    shared = tmp_path / "storage"
    shared.mkdir()
    shared.chmod(0o777)
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {DATABASE}")
    volume = {"accessModes": ["ReadWriteMany"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": str(shared)}}
    claimed_by = {"namespace": NAMESPACE, "name": "runplane-storage"}
    real_cluster.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": RESTRICTED}},
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": NAMESPACE},
            "spec": {**volume, "claimRef": claimed_by},
        },
    )
    port = int(postgres_server.url().rpartition(":")[2].partition("/")[0])
    real_cluster.name_service(NAMESPACE, "postgresql", 5432, port)
    yield real_cluster
    real_cluster.kubectl("delete", "namespace", NAMESPACE, timeout_s=120)
    real_cluster.kubectl("delete", "persistentvolume", NAMESPACE)
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")


def test_the_example_as_its_page_says(prepared: Cluster) -> None:
    def kubectl(*words: str) -> str:
        return prepared.kubectl("-n", NAMESPACE, *words, timeout_s=PATIENCE_S + 10)

    kubectl(
        "create", "secret", "generic", "dagster-postgresql-secret", f"--from-literal=postgresql-password={PASSWORD}"
    )
    for name in ("roles", "instance", "storage", "daemon"):
        kubectl("apply", "-f", str(EXAMPLE / f"{name}.yaml"))
    for name in ("launch", "launch-k8s"):
        kubectl("create", "-f", str(EXAMPLE / f"{name}.yaml"))

    jobs = jobs_when_complete(prepared, 2 + 2 + 3)  # two that launch, two runs, the steps of one of them

    daemon = prepared.get("pods", "-n", NAMESPACE, "-l", "app=runplane-daemon")[0]["status"]["containerStatuses"][0]
    assert daemon["restartCount"] == 0, kubectl("logs", "deploy/daemon", "--previous")
    told = kubectl("exec", "deploy/daemon", "--", "runplane", "run", "list")
    assert told.count("SUCCESS") == 2, told
    assert sum(j["metadata"]["name"].startswith("dagster-step-") for j in jobs) == 3
    assert "forbidden" not in kubectl("logs", "deploy/daemon").lower()


def jobs_when_complete(cluster: Cluster, count: int) -> list[dict[str, Any]]:
    """The Jobs of the namespace, when there are so many and all are Complete."""
    end = time.monotonic() + PATIENCE_S
    while True:
        jobs: list[dict[str, Any]] = cluster.get("jobs", "-n", NAMESPACE)
        if len(jobs) == count and all(job["status"].get("succeeded") for job in jobs):
            return jobs
        if time.monotonic() > end or any(job["status"].get("failed") for job in jobs):
            shown = cluster.kubectl("get", "job,pod,event", "-n", NAMESPACE)
            logs = [
                cluster.kubectl("logs", "-n", NAMESPACE, f"job/{job['metadata']['name']}", "--tail=30") for job in jobs
            ]
            raise AssertionError("\n".join([shown, *logs]))
        time.sleep(0.5)
