"""``runplane doctor`` for an instance whose runs are Jobs, on a cluster in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from runplane.cli.main import root
from runplane.instance.instance import Instance
from runplane.instance.kubernetes_examination import KubernetesExamination
from runplane.kube.roles import LAUNCHER, ROLES
from runplane.testing.fake_cluster import FakeCluster

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "kubernetes" / "roles.yaml"
ACCOUNT = "system:serviceaccount:default:run-worker"
Doctor = Callable[..., dict[str, dict[str, Any]]]


@pytest.fixture
def doctor(cluster: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """Writes a dagster.yaml with these keys, and asks: check -> what was found."""
    monkeypatch.setenv("RUNPLANE_PODS_ARE_LOCAL", "1")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    file = str(cluster.kubeconfig(tmp_path))

    def ask(code: int = 0, config: dict[str, Any] | None = None, **document: Any) -> dict[str, dict[str, Any]]:
        given = {"job_image": "i", "kubeconfig_file": file, "service_account_name": "run-worker", **(config or {})}
        launcher = {"module": "dagster_k8s", "class": "K8sRunLauncher", "config": given}
        (tmp_path / "dagster.yaml").write_text(yaml.safe_dump({"run_launcher": launcher, **document}))
        done = CliRunner().invoke(root, ["doctor", "--json"])
        assert done.exit_code == code, done.output
        found = json.loads(done.stdout)
        assert found["ok"] is (code == 0)
        return {one["check"]: one for one in found["findings"]}

    return ask


def test_all_that_is_looked_at(doctor: Doctor) -> None:
    found = doctor()

    assert {name: one["grade"] for name, one in found.items()} == {
        "database": "ok",
        "launcher": "ok",
        "resume": "warning",  # run_monitoring is off
        "limits": "ok",
        "cluster": "ok",
        "role of the launcher": "ok",
        "role of daemons": "ok",
        "role of run workers": "ok",
        "owner references": "ok",
        "database of pods": "ok",
        "user code": "warning",  # the account of run workers may create Jobs
        "quotas": "ok",
    }


@pytest.mark.parametrize("permission", LAUNCHER, ids=str)
def test_each_verb_that_the_launcher_needs(doctor: Doctor, cluster: FakeCluster, permission: Any) -> None:
    resource = "/".join(filter(None, (permission.resource, permission.subresource)))
    cluster.api.denied.add((permission.verb, resource))
    explains = permission.resource == "events" or permission.subresource == "log"

    found = doctor(code=0 if explains else 1)["role of the launcher"]

    assert found["grade"] == ("warning" if explains else "failure")
    assert str(permission) in found["words"]


def test_the_account_of_run_workers_is_asked_about_and_what_its_user_code_may_do(
    doctor: Doctor, cluster: FakeCluster
) -> None:
    cluster.api.denied_to[ACCOUNT] = {("create", "jobs"), ("patch", "jobs")}

    found = doctor()

    assert "lacks create jobs" in found["role of run workers"]["words"]
    assert (found["user code"]["grade"], found["owner references"]["grade"]) == ("ok", "warning")


def test_a_role_that_may_not_ask_about_others(doctor: Doctor, cluster: FakeCluster) -> None:
    cluster.api.denied.add(("create", "localsubjectaccessreviews"))

    found = doctor()

    assert found["role of run workers"]["grade"] == "unknown"
    assert f"--as {ACCOUNT}" in found["role of run workers"]["advice"]
    assert "can not be asked" in found["user code"]["words"]


@pytest.mark.parametrize(
    ("runs", "hard", "grade", "code"),
    [(10, "10", "failure", 1), (9, "10", "ok", 0), (-1, "10", "warning", 0)],
)
def test_runs_that_could_fill_a_quota_so_that_no_step_starts(
    doctor: Doctor, cluster: FakeCluster, runs: int, hard: str, grade: str, code: int
) -> None:
    quota = {"metadata": {"name": "q", "namespace": "default"}, "spec": {"hard": {"pods": hard, "cpu": "4"}}}
    cluster.store.create("resourcequotas", quota)
    queue = {
        "module": "dagster.core.run_coordinator",
        "class": "QueuedRunCoordinator",
        "config": {"max_concurrent_runs": runs},
    }

    found = doctor(code=1, run_coordinator=queue)  # no daemon is alive

    assert found["quotas"]["grade"] == grade
    assert found["daemon"]["grade"] == "failure"


def test_a_cluster_that_does_not_answer_is_a_failure_by_name(
    doctor: Doctor, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runplane.kube.client.FIRST_DELAY_S", 0.01)
    cluster.stop_api()

    found = doctor(code=1)

    assert found["cluster"]["grade"] == "failure"
    assert found["database"]["grade"] == "ok"


@pytest.mark.parametrize(
    ("config", "grade", "words"),
    [
        ("", "failure", "pods have no PW"),
        ("env_vars: [PW]", "ok", "pods have PW"),
        ("env_secrets: [db]", "unknown", "PW has to come from db"),
    ],
)
def test_what_pods_have_of_what_the_database_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str, grade: str, words: str
) -> None:
    monkeypatch.setenv("PW", "p")
    text = (
        "storage: {postgres: {postgres_db: {hostname: db, username: u, password: {env: PW}, db_name: d}}}\n"
        f"run_launcher: {{module: dagster_k8s, class: K8sRunLauncher, config: {{{config}}}}}"
    )

    with Instance.from_yaml(text, tmp_path) as instance:
        (found,) = KubernetesExamination(instance).database(instance)

    assert (found.grade.value, words in found.words) == (grade, True), found


def test_the_examples_roles_are_those_of_the_table() -> None:
    granted: dict[str, set[str]] = {}
    for document in yaml.safe_load_all(EXAMPLE.read_text(encoding="utf-8")):
        if document["kind"] != "Role":
            continue
        granted[document["metadata"]["name"]] = {
            f"{verb} {resource}"
            for rule in document["rules"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }

    assert granted["launcher"] == set(map(str, ROLES["daemon"]))
    assert granted["run-worker"] == set(map(str, ROLES["run-worker"]))
