"""Who is to own the Jobs that a run's worker makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runplane.kube.client import KubeClient
from runplane.kube.own_job import ownership
from runplane.testing.fake_cluster import FakeCluster, Fault


@pytest.fixture
def account(tmp_path: Path) -> Path:
    (tmp_path / "namespace").write_text("default\n")
    return tmp_path


def job_with_a_pod(cluster: FakeCluster, client: KubeClient) -> dict[str, Any]:
    template = {"spec": {"containers": [{"name": "c", "image": "i"}]}}
    made = client.create_job("default", {"metadata": {"name": "run"}, "spec": {"template": template}})
    cluster.wait_for("its pod", lambda: bool(cluster.all_pods()))
    return made


def test_the_job_of_this_pod(cluster: FakeCluster, client: KubeClient, account: Path) -> None:
    made = job_with_a_pod(cluster, client)
    hostname = cluster.all_pods()[0]["metadata"]["name"]

    owner = ownership(client, "default", {"HOSTNAME": hostname}, account).owner

    assert owner == {"apiVersion": "batch/v1", "kind": "Job", "name": "run", "uid": made["metadata"]["uid"]}


@pytest.mark.parametrize(
    ("namespace", "hostname", "why"),
    [
        ("other", "x", "this pod is in namespace default, and the Jobs are made in other"),
        ("default", "x", "there is no pod x"),
        ("default", None, "this process is no pod"),
    ],
)
def test_why_there_is_none(client: KubeClient, account: Path, namespace: str, hostname: str | None, why: str) -> None:
    found = ownership(client, namespace, {"HOSTNAME": hostname} if hostname else {}, account)

    assert found.owner is None
    assert why in found.why_not


def test_a_pod_of_no_job_owns_nothing(cluster: FakeCluster, client: KubeClient, account: Path) -> None:
    """It would be gone before another worker could take over what it owns."""
    job_with_a_pod(cluster, client)
    name = cluster.all_pods()[0]["metadata"]["name"]
    client.delete_job("default", "run", propagation="Orphan")
    cluster.wait_for("its end", lambda: cluster.all_jobs() == [])

    found = ownership(client, "default", {"HOSTNAME": name}, account)

    assert (found.owner, found.why_not) == (None, f"pod {name} belongs to no Job")


def test_a_job_that_is_deleted_soon_after_its_end_is_remarked(
    cluster: FakeCluster, client: KubeClient, account: Path
) -> None:
    job_with_a_pod(cluster, client)
    client.patch_job("default", "run", {"spec": {"ttlSecondsAfterFinished": 60}})

    found = ownership(client, "default", {"HOSTNAME": cluster.all_pods()[0]["metadata"]["name"]}, account)

    assert found.owner is not None
    assert "is deleted 60 seconds after its end" in found.remark


def test_an_api_that_is_away_makes_no_owner_and_says_so(
    cluster: FakeCluster, client: KubeClient, account: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runplane.kube.client.FIRST_DELAY_S", 0.01)
    job_with_a_pod(cluster, client)
    cluster.fault(Fault("create", "selfsubjectaccessreviews", status=503))

    found = ownership(client, "default", {"HOSTNAME": cluster.all_pods()[0]["metadata"]["name"]}, account)

    assert (found.owner, "can not be looked up" in found.why_not) == (None, True)


def test_a_role_that_could_not_hand_jobs_on_makes_no_owner(
    cluster: FakeCluster, client: KubeClient, account: Path
) -> None:
    job_with_a_pod(cluster, client)
    cluster.api.denied.add(("patch", "jobs"))

    found = ownership(client, "default", {"HOSTNAME": cluster.all_pods()[0]["metadata"]["name"]}, account)

    assert (found.owner, "lacks the verb patch" in found.why_not) == (None, True)
