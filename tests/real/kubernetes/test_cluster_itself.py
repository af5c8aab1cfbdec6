"""The cluster that other tests stand on does what its fixtures promise, and the image of `deploy/` runs on it, locked in."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest

from cluster.clusters import Cluster
from cluster.pods import job
from services.fixtures import not_to_be_had

LOOK = """
import json, os, runplane, socket
def named(host):
    try:
        return socket.gethostbyname(host)
    except OSError as error:
        return type(error).__name__
def written():
    try:
        open("/app/x", "w")
    except OSError as error:
        return error.strerror
print(json.dumps({
    "version": runplane.__version__, "uid": os.getuid(), "write": written(),
    "capabilities": next(line.split()[1] for line in open("/proc/self/status") if line.startswith("CapEff")),
    "seccomp": next(line.split()[1] for line in open("/proc/self/status") if line.startswith("Seccomp:")),
    "api": named("kubernetes.default"), "database": named("postgresql"), "nobody": named("nobody.default"),
}))
"""
ASK = """
import os, psycopg
with psycopg.connect(os.environ["DATABASE"]) as connection:
    print(connection.execute("SELECT 6 * 7").fetchone()[0])
"""


def test_a_pod_of_our_image_runs_locked_in_and_finds_what_has_a_name(
    real_cluster: Cluster, namespace: str, workflows_image: str, postgres_url: str
) -> None:
    url = urlsplit(postgres_url)
    real_cluster.name_service(namespace, "postgresql", 5432, url.port or 5432)
    inside = url._replace(netloc=f"{url.netloc.rpartition('@')[0]}@postgresql:5432").geturl()

    real_cluster.apply(
        job(namespace, "look", workflows_image, ["python3", "-c", LOOK]),
        job(namespace, "ask", workflows_image, ["python3", "-c", ASK], {"DATABASE": inside}),
        job(namespace, "version", workflows_image, ["dagster", "--version"]),
    )

    real_cluster.wait_for_jobs(namespace)
    seen = json.loads(real_cluster.kubectl("logs", "-n", namespace, "job/look"))
    assert (seen["uid"], seen["write"]) == (10001, "Read-only file system")
    assert (int(seen["capabilities"], 16), seen["seccomp"]) == (0, "2")
    assert (
        real_cluster.kubectl("logs", "-n", namespace, "job/version").strip() == f"runplane, version {seen['version']}"
    )
    services = {s["metadata"]["name"]: s["spec"]["clusterIP"] for s in real_cluster.get("service", "-n", namespace)}
    api = real_cluster.get("service", "kubernetes", "-n", "default")["spec"]["clusterIP"]
    assert (seen["database"], seen["api"], seen["nobody"]) == (services["postgresql"], api, "gaierror")
    assert real_cluster.kubectl("logs", "-n", namespace, "job/ask").strip() == "42"


def test_the_namespace_refuses_a_pod_that_is_not_locked_in(
    real_cluster: Cluster, namespace: str, workflows_image: str
) -> None:
    loose = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "loose", "namespace": namespace}}

    with pytest.raises(AssertionError, match='violates PodSecurity "restricted'):
        real_cluster.apply({**loose, "spec": {"containers": [{"name": "main", "image": workflows_image}]}})


def test_a_server_of_the_node_can_be_frozen(real_cluster: Cluster) -> None:
    if real_cluster.node is None:
        not_to_be_had("the cluster is not ours to freeze")

    with real_cluster.node.frozen("kube-apiserver"), pytest.raises(AssertionError, match="exited with 1"):
        real_cluster.kubectl("get", "--raw", "/readyz", "--request-timeout=1s")

    assert real_cluster.kubectl("get", "--raw", "/readyz") == "ok"


def test_a_name_of_any_registry_can_be_pulled(real_cluster: Cluster, namespace: str, workflows_image: str) -> None:
    if real_cluster.publish is None:
        not_to_be_had("the cluster has no registry of ours")
    name = "registry.example/team/workflows:0.4.8"
    real_cluster.publish(workflows_image, name)
    pulled = job(namespace, "pulled", name, ["runplane", "--version"])
    pulled["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] = "Always"

    real_cluster.apply(pulled)

    real_cluster.wait_for_jobs(namespace, "pulled")
    assert real_cluster.kubectl("logs", "-n", namespace, "job/pulled").startswith("runplane, version")
