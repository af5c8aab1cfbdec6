"""CeleryK8sRunLauncher: what differs from the launcher that it is, in a fake cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runplane.errors import ConfigErrors
from runplane.events.origin import JobOrigin, ModuleCodePointer, RepositoryOrigin
from runplane.instance.instance import Instance, RunRequest
from runplane.instance.load import from_yaml
from runplane.testing import RunLauncherContract
from runplane.testing.fake_cluster import FakeCluster, ProcessPods
from runplane.testing.run_launcher_contract import Place

CONTEXT = {"k8s": {"namespace": "not-there", "resources": {"limits": {"cpu": "1"}}}}


@pytest.mark.long
class TestCeleryK8sRunLauncher(RunLauncherContract):
    @pytest.fixture
    def place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
        # These pods are processes of this machine: they do reach a SQLite file of it.
        monkeypatch.setenv("RUNPLANE_PODS_ARE_LOCAL", "1")
        monkeypatch.setenv("RUNPLANE_LEASE_TTL", "2")
        (tmp_path / "home").mkdir()
        pods = ProcessPods()
        with FakeCluster(lambda _: pods) as cluster:
            config = {"job_image": "img:1", "kubeconfig_file": str(cluster.kubeconfig(tmp_path))}
            launcher = {"module": "dagster_celery_k8s", "class": "CeleryK8sRunLauncher", "config": config}
            made = Place(tmp_path, launcher)
            yield made
            made.open_gate()
            made.leave()
            pods.close()
            assert cluster.errors == []


@pytest.fixture
def instance(cluster: FakeCluster, tmp_path: Path) -> Iterator[Instance]:
    text = f"""
run_launcher:
  module: dagster_celery_k8s
  class: CeleryK8sRunLauncher
  config:
    broker: redis://redis:6379/0
    job_image: launcher:1
    env_config_maps: [launcher]
    resources: {{limits: {{memory: 1Gi}}}}
    kubeconfig_file: {cluster.kubeconfig(tmp_path)}
"""
    with Instance(from_yaml(text, tmp_path, {}), {"RUNPLANE_PODS_ARE_LOCAL": "1"}) as made:
        yield made


def launched(instance: Instance, image: str | None = None, **execution: Any) -> str:
    code = RepositoryOrigin("python", ModuleCodePointer("m", "j"), image, container_context=CONTEXT)
    return instance.submit(RunRequest("j", JobOrigin("j", code), run_config={"execution": execution})).run_id


def said(instance: Instance, run_id: str) -> list[str]:
    return [event.body.get("message", "") for event in instance.tail(run_id)]


def test_the_executors_run_config_is_over_the_launcher_and_a_locations_context_is_told_of(
    instance: Instance, cluster: FakeCluster
) -> None:
    cluster.add_namespace("team-a")
    config = {"job_namespace": "team-a", "env_config_maps": ["executor"], "resources": {"limits": {"memory": "8Gi"}}}
    run_id = launched(instance, "location:1", config=config)

    (job,) = cluster.all_jobs()

    container = job["spec"]["template"]["spec"]["containers"][0]
    assert job["metadata"]["namespace"] == "team-a"
    assert container["image"] == "location:1"
    assert [one["configMapRef"]["name"] for one in container["envFrom"]] == ["executor", "launcher"]
    assert container["resources"] == {"limits": {"memory": "1Gi"}}, "what steps need is not the run's"
    told = said(instance, run_id)
    assert "[CeleryK8sRunLauncher] Creating Kubernetes run worker job" in told
    assert any("container context (namespace, resources) has no effect" in text for text in told)


def test_an_image_of_the_executor_is_over_the_locations_and_is_said(instance: Instance, cluster: FakeCluster) -> None:
    run_id = launched(instance, "location:1", **{"celery-k8s": {"config": {"job_image": "executor:1"}}})

    (job,) = cluster.all_jobs()

    assert job["spec"]["template"]["spec"]["containers"][0]["image"] == "executor:1"
    assert any("executor:1" in text and "location:1" in text for text in said(instance, run_id))


def test_another_executors_config_is_refused_with_its_path(instance: Instance) -> None:
    with pytest.raises(ConfigErrors, match=r"execution.config.max_concurrent") as refused:
        launched(instance, "location:1", config={"max_concurrent": 4})

    assert "celery_k8s_job_executor" in str(refused.value)


def test_a_broker_that_is_not_known_is_refused_when_the_launcher_is_built(tmp_path: Path) -> None:
    text = "run_launcher: {module: dagster_celery_k8s, class: CeleryK8sRunLauncher, config: {broker: 'http://redis'}}"

    with Instance(from_yaml(text, tmp_path, {}), {}) as made, pytest.raises(ConfigErrors, match="broker"):
        _ = made.launcher
