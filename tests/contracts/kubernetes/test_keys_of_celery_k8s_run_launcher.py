"""Each key of CeleryK8sRunLauncher's configuration has its effect (Dagster's own launcher lists eight that it can not be built with)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from runplane.errors import RunplaneError
from runplane.events.origin import JobOrigin, ModuleCodePointer, RepositoryOrigin
from runplane.instance.instance import Instance, RunRequest
from runplane.instance.kubernetes_schemas import KubernetesSchemas
from runplane.instance.load import from_yaml
from runplane.testing.fake_cluster import FakeCluster

Json = dict[str, Any]
SCHEMA: Any = KubernetesSchemas.BY_NAME["celery_k8s_run_launcher"]


def pod_of(job: Json) -> Json:
    found: Json = job["spec"]["template"]["spec"]
    return found


def container_of(job: Json) -> Json:
    found: Json = pod_of(job)["containers"][0]
    return found


def variable(name: str) -> Callable[[Json], Json | None]:
    """What the run's container is told under this name."""
    return lambda job: next((one for one in container_of(job)["env"] if one["name"] == name), None)


def request_of(job: Json) -> Json:
    """The document of ``api execute_run``."""
    found: Json = json.loads(container_of(job)["args"][-1])
    return found


IN_THE_RUNS_JOB: Mapping[str, tuple[Any, Callable[[Json], Any], Any]] = {
    "dagster_home": ("/elsewhere", variable("DAGSTER_HOME"), {"name": "DAGSTER_HOME", "value": "/elsewhere"}),
    "env_config_maps": (["map"], lambda job: container_of(job).get("envFrom"), [{"configMapRef": {"name": "map"}}]),
    "env_secrets": (["secret"], lambda job: container_of(job).get("envFrom"), [{"secretRef": {"name": "secret"}}]),
    "env_vars": (["TOLD=yes"], variable("TOLD"), {"name": "TOLD", "value": "yes"}),
    "fail_pod_on_run_failure": (True, lambda job: request_of(job).get("set_exit_code_on_failure"), True),
    "image_pull_policy": ("Never", lambda job: container_of(job).get("imagePullPolicy"), "Never"),
    "image_pull_secrets": ([{"name": "reg"}], lambda job: pod_of(job).get("imagePullSecrets"), [{"name": "reg"}]),
    "job_image": ("another:1", lambda job: container_of(job)["image"], "another:1"),
    "job_namespace": ("team", lambda job: job["metadata"]["namespace"], "team"),
    "labels": ({"team": "data"}, lambda job: job["metadata"]["labels"].get("team"), "data"),
    "postgres_password_secret": (
        "pg",
        lambda job: (variable("DAGSTER_PG_PASSWORD")(job) or {}).get("valueFrom"),
        {"secretKeyRef": {"name": "pg", "key": "postgresql-password"}},
    ),
    "resources": (
        {"limits": {"cpu": "2"}},
        lambda job: container_of(job).get("resources"),
        {"limits": {"cpu": "2"}},
    ),
    "run_k8s_config": (
        {"pod_spec_config": {"node_selector": {"disk": "ssd"}}},
        lambda job: pod_of(job).get("nodeSelector"),
        {"disk": "ssd"},
    ),
    "scheduler_name": ("mine", lambda job: pod_of(job).get("schedulerName"), "mine"),
    "security_context": (
        {"run_as_user": 7},
        lambda job: container_of(job).get("securityContext"),
        {"runAsUser": 7},
    ),
    "service_account_name": ("workers", lambda job: pod_of(job).get("serviceAccountName"), "workers"),
    "volumes": (
        [{"name": "v", "empty_dir": {}}],
        lambda job: [one for one in pod_of(job).get("volumes", []) if one["name"] == "v"],
        [{"name": "v", "emptyDir": {}}],
    ),
}
"""Key -> its value, what it changes in the Job of a run, and to what."""
IN_THE_LAUNCHER: Mapping[str, Any] = {
    "broker": "redis://redis:6379/3",
    "backend": "redis://redis:6379/4",
    "config_source": {"task_default_queue": "mine"},
    "retries": {"disabled": {}},
}
"""What is Celery's: a run's executor and the workers read it of the launcher."""
WITH_OTHERS = {
    "include",
    "volume_mounts",
    "instance_config_map",
    "runplane",
    "kubeconfig_file",
    "load_incluster_config",
    "k8s_api_ssl_ca_cert_file",
    "only_allow_user_defined_env_vars",
    "only_allow_user_defined_k8s_config_fields",
}
"""Those that have their effect beside another key, or on what a run may ask for."""


class Room:
    """Instances whose launcher has these keys, on one cluster."""

    def __init__(self, cluster: FakeCluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        cluster.add_namespace("team")

    def instance(self, **keys: Any) -> Instance:
        reach = (
            {} if "load_incluster_config" in keys else {"kubeconfig_file": str(self.cluster.kubeconfig(self.folder))}
        )
        config = {"job_image": "launcher:1", **reach, **keys}
        launcher = {"module": "dagster_celery_k8s", "class": "CeleryK8sRunLauncher", "config": config}
        return Instance(
            from_yaml(json.dumps({"run_launcher": launcher}), self.folder, {}), {"RUNPLANE_PODS_ARE_LOCAL": "1"}
        )

    def job(self, tags: Mapping[str, str] | None = None, **keys: Any) -> Json:
        """The Job of a run that is launched with these keys."""
        before = {one["metadata"]["name"] for one in self.cluster.all_jobs()}
        with self.instance(**keys) as instance:
            code = RepositoryOrigin("python", ModuleCodePointer("m", "j"))
            instance.submit(RunRequest("j", JobOrigin("j", code), tags=dict(tags or {})))
        (made,) = [one for one in self.cluster.all_jobs() if one["metadata"]["name"] not in before]
        return made


@pytest.fixture
def room(cluster: FakeCluster, tmp_path: Path) -> Room:
    return Room(cluster, tmp_path)


def test_no_key_is_left_out() -> None:
    assert set(SCHEMA.fields) == {*IN_THE_RUNS_JOB, *IN_THE_LAUNCHER, *WITH_OTHERS}


@pytest.mark.parametrize("key", IN_THE_RUNS_JOB)
def test_a_key_is_seen_in_the_runs_job(room: Room, key: str) -> None:
    value, seen, expected = IN_THE_RUNS_JOB[key]

    without, given = room.job(), room.job(**{key: value})

    assert seen(given) == expected
    assert seen(without) != expected, "it is so without the key"


@pytest.mark.parametrize("key", IN_THE_LAUNCHER)
def test_what_is_celerys_is_kept_for_executor_and_workers(room: Room, key: str) -> None:
    value = IN_THE_LAUNCHER[key]

    with room.instance() as plain, room.instance(**{key: value}) as given:
        assert given.launcher.celery[key] == value
        assert plain.launcher.celery[key] != value


def test_a_volume_is_mounted(room: Room) -> None:
    mount = {"name": "v", "mount_path": "/v", "read_only": True}

    job = room.job(volumes=[{"name": "v", "empty_dir": {}}], volume_mounts=[mount])

    assert {"name": "v", "mountPath": "/v", "readOnly": True} in container_of(job)["volumeMounts"]


def test_the_instance_is_mounted_from_its_config_map(room: Room) -> None:
    job = room.job(instance_config_map="dagster-instance", runplane={"instance": "mount"})

    assert [one["configMap"]["name"] for one in pod_of(job)["volumes"] if "configMap" in one] == ["dagster-instance"]


def test_a_literal_secret_is_refused_where_that_is_asked_for(room: Room) -> None:
    with pytest.raises(RunplaneError, match="API_TOKEN"):
        room.job(runplane={"secrets": "refuse"}, env_vars=["API_TOKEN=abc"])


def test_a_kubeconfig_is_read_or_the_pods_account_is(room: Room) -> None:
    with room.instance() as by_file, room.instance(load_incluster_config=True) as by_account:
        assert by_file.launcher.access.load().host == room.cluster.url
        with pytest.raises(RunplaneError, match="as a pod"):
            _ = by_account.launcher.access


def test_another_authority_is_trusted(room: Room) -> None:
    with room.instance(k8s_api_ssl_ca_cert_file="/ca.crt") as instance:
        assert instance.launcher.access.load().ssl_ca_cert == "/ca.crt"


def test_fields_that_a_run_may_not_set_are_refused(room: Room) -> None:
    tags = {"dagster-k8s/config": json.dumps({"pod_spec_config": {"host_ipc": True}})}
    allowed = {"pod_spec_config": {"node_selector": True}}

    assert pod_of(room.job(tags))["hostIPC"] is True
    with pytest.raises(RunplaneError, match="only_allow_user_defined_k8s_config_fields"):
        room.job(tags, only_allow_user_defined_k8s_config_fields=allowed)


def test_variables_that_a_run_may_not_set_are_left_out(room: Room) -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    tags = {"dagster-k8s/config": json.dumps({"container_config": {"env": env}})}

    free, bounded = room.job(tags), room.job(tags, only_allow_user_defined_env_vars=["A"])

    assert [bool(variable(name)(free)) for name in "AB"] == [True, True]
    assert [bool(variable(name)(bounded)) for name in "AB"] == [True, False]


def test_modules_with_other_tasks_are_refused(room: Room) -> None:
    with room.instance(include=[]) as instance:
        assert instance.launcher.celery["include"] == []
    with room.instance(include=["my.tasks"]) as instance, pytest.raises(RunplaneError, match=r"include.*my\.tasks"):
        _ = instance.launcher
