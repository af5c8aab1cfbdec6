"""The client: how it reaches a cluster, what its errors mean, what it asks again."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from runplane.errors import NotFoundError
from runplane.kube import client as client_module
from runplane.kube import pod_account
from runplane.kube.access import cluster_access
from runplane.kube.client import KubeClient
from runplane.kube.create_limit import CreateLimit
from runplane.kube.errors import (
    KubeConflictError,
    KubeExpiredError,
    KubeForbiddenError,
    KubeNotFoundError,
    KubeQuotaError,
    KubeRefusedError,
    KubeUnavailableError,
    error_of,
)
from runplane.testing.fake_cluster import FakeCluster, Fault

NS = "default"
IN_A_POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}


def job_named(name: str) -> dict[str, Any]:
    template = {"spec": {"containers": [{"name": "c", "image": "i"}]}}
    return {"metadata": {"name": name, "labels": {"run": "r"}}, "spec": {"backoffLimit": 0, "template": template}}


@pytest.fixture(autouse=True)
def short_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "FIRST_DELAY_S", 0.01)


# Access -----------------------------------------------------------------------------------------------------------------------


def test_a_kubeconfig_names_host_and_namespace(cluster: FakeCluster, tmp_path: Path) -> None:
    file = cluster.kubeconfig(tmp_path, namespace="team")

    access = cluster_access(environ={"KUBECONFIG": str(file)}, service_account=tmp_path / "none")

    assert (access.load().host, access.namespace) == (cluster.url, "team")
    assert access.source == f"kubeconfig {file}, context fake"


def test_no_way_to_a_cluster_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no kubeconfig file.*KUBECONFIG"):
        cluster_access(environ={"KUBECONFIG": str(tmp_path / "none")}, service_account=tmp_path)


def test_a_kubeconfig_that_is_none_is_said(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text("{}")

    with pytest.raises(NotFoundError, match="the kubeconfig can not be used"):
        cluster_access(kubeconfig_file=str(file))


def test_a_pod_is_asked_for_and_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="load_incluster_config: false"):
        cluster_access(load_incluster_config=True, service_account=tmp_path)


@pytest.fixture
def account(tmp_path: Path) -> Path:
    """The folder that a pod has its service account in."""
    for name, text in (("token", "first\n"), ("ca.crt", "certificate"), ("namespace", "team")):
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_pod_takes_its_service_account_and_reads_a_projected_token_anew(
    cluster: FakeCluster, account: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = str(cluster.kubeconfig(account))

    access = cluster_access(environ={**IN_A_POD, "KUBECONFIG": file}, service_account=account)
    first = access.load()
    (account / "token").write_text("second")

    assert (first.host, access.namespace) == ("https://10.0.0.1:443", "team")
    assert [of.headers()["authorization"] for of in (first, access.load())] == ["Bearer first", "Bearer second"]
    monkeypatch.setattr(pod_account, "TOKEN_READ_EVERY_S", 0.0)
    assert first.headers()["authorization"] == "Bearer second"
    named = cluster_access(kubeconfig_file=file, service_account=account)
    assert named.load().host == cluster.url, "who names a file means it"


def test_a_pod_of_an_ipv6_cluster(account: Path) -> None:
    environ = {**IN_A_POD, "KUBERNETES_SERVICE_HOST": "fd00::1"}

    assert cluster_access(environ=environ, service_account=account).load().host == "https://[fd00::1]:443"


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_HOST is not set"),
        ("KUBERNETES_SERVICE_PORT", "KUBERNETES_SERVICE_PORT is not set"),
        ("token", "token can not be read: No such file"),
        ("ca.crt", r"ca\.crt can not be read: No such file"),
    ],
)
def test_what_a_pod_lacks_is_said(account: Path, missing: str, said: str) -> None:
    environ = {name: value for name, value in IN_A_POD.items() if name != missing}
    (account / missing).unlink(missing_ok=True)

    with pytest.raises(NotFoundError, match=said):
        cluster_access(load_incluster_config=True, environ=environ, service_account=account)


def test_an_empty_token_is_said(account: Path) -> None:
    (account / "token").write_text("\n")

    with pytest.raises(NotFoundError, match="token is empty"):
        cluster_access(load_incluster_config=True, environ=IN_A_POD, service_account=account)


@pytest.mark.parametrize(
    ("proxies", "goes_through"),
    [
        ({}, None),
        ({"http_proxy": "http://127.0.0.1:9"}, None),
        ({"HTTPS_PROXY": "http://127.0.0.1:9"}, "http://127.0.0.1:9"),
        ({"all_proxy": "http://127.0.0.1:9"}, "http://127.0.0.1:9"),
        ({"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "10.0.0.1"}, None),
    ],
)
def test_a_pod_goes_through_the_proxy_that_its_environment_names(
    account: Path, monkeypatch: pytest.MonkeyPatch, proxies: dict[str, str], goes_through: str | None
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in proxies.items():
        monkeypatch.setenv(name, value)

    pool = cluster_access(environ={**IN_A_POD, **proxies}, service_account=account).load().pool(3)

    assert (pool.proxy.url if pool.proxy else None) == goes_through
    assert pool.connection_pool_kw["ca_certs"] == str(account / "ca.crt")
    assert (pool.connection_pool_kw["maxsize"], str(pool.connection_pool_kw["cert_reqs"])) in (
        (3, "CERT_REQUIRED"),
        (3, str(ssl.CERT_REQUIRED)),
    )


def test_a_pod_does_not_load_the_official_client(account: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from runplane.kube.client import KubeClient\n"
        "from runplane.kube.access import cluster_access\n"
        f"KubeClient(cluster_access(environ={IN_A_POD!r}, service_account=Path({str(account)!r})))\n"
        "print(*(m for m in ('kubernetes', 'yaml', 'requests', 'pydantic') if m in sys.modules))"
    )

    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout.split() == []


def test_a_token_that_was_replaced_is_read_again_once(cluster: FakeCluster, tmp_path: Path) -> None:
    file = cluster.kubeconfig(tmp_path)
    client = KubeClient(cluster_access(kubeconfig_file=str(file)))
    assert client.get_job(NS, "none") is None
    cluster.api.token = "the next one"
    config = json.loads(file.read_text())
    config["users"][0]["user"]["token"] = "the next one"
    file.write_text(json.dumps(config))

    assert client.get_job(NS, "none") is None

    cluster.api.token = "one that nobody was told of"
    with pytest.raises(KubeRefusedError, match="credentials are not accepted"):
        client.get_job(NS, "none")
    client.close()


def test_a_host_that_no_proxy_names_is_reached_without_one(
    cluster: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.0/8")

    client = KubeClient(cluster_access(kubeconfig_file=str(cluster.kubeconfig(tmp_path))))

    assert client.get_job(NS, "none") is None
    client.close()


def test_the_clients_typed_models_are_not_loaded() -> None:
    code = "import sys, runplane.kube.official_client; print(*(m for m in sys.modules if m.startswith('kubernetes.client')))"

    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()

    assert [m for m in loaded if ".models." in m or ".api." in m] == []
    assert len(loaded) <= 10, loaded


# Requests -----------------------------------------------------------------------------------------------------------------------


def test_a_job_is_created_read_listed_changed_and_deleted(cluster: FakeCluster, client: KubeClient) -> None:
    made = client.create_job(NS, job_named("a"))
    told = lambda: [e["reason"] for e in client.events_of(NS, made["metadata"]["uid"])]
    # The pod comes first, as in a real cluster.
    cluster.wait_for("what the Job's controller tells of its pod", lambda: "SuccessfulCreate" in told())

    patched = client.patch_job(NS, "a", {"metadata": {"labels": {"more": "1"}}})

    assert patched["metadata"]["labels"] == {"run": "r", "more": "1"}
    assert [j["metadata"]["name"] for j in client.list_jobs(NS, "more=1").items] == ["a"]
    assert len(client.list_pods(NS, "job-name=a", cached=True).items) == 1
    with pytest.raises(KubeConflictError):
        client.delete_job(NS, "a", uid="another")
    assert client.delete_job(NS, "a", uid=made["metadata"]["uid"])
    assert not client.delete_job(NS, "a")
    cluster.wait_for("its pod's end", lambda: cluster.all_pods() == [])


def test_lists_longer_than_a_page_are_read_whole(client: KubeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "PAGE", 2)
    for i in range(5):
        client.create_job(NS, job_named(f"j{i}"))

    assert len(client.list_jobs(NS, "run=r").items) == 5


def test_a_read_is_asked_again_and_a_create_is_not(cluster: FakeCluster, client: KubeClient) -> None:
    cluster.fault(Fault("get", "jobs", times=2, status=503))
    cluster.fault(Fault("create", "jobs", times=1, status=500))

    assert client.get_job(NS, "a") is None
    with pytest.raises(KubeUnavailableError):
        client.create_job(NS, job_named("a"))

    assert (cluster.counts()["get jobs"], cluster.counts()["create jobs"]) == (3, 1)


def test_an_outage_is_told_after_some_tries(cluster: FakeCluster, client: KubeClient) -> None:
    cluster.stop_api()

    with pytest.raises(KubeUnavailableError, match="no answer"):
        client.get_job(NS, "a")


def test_a_call_that_hangs_ends(cluster: FakeCluster, tmp_path: Path) -> None:
    access = cluster_access(kubeconfig_file=str(cluster.kubeconfig(tmp_path)))
    client = KubeClient(access, request_timeout_s=0.2)
    cluster.fault(Fault("create", "jobs", hang=True))

    with pytest.raises(KubeUnavailableError, match="imed out"):
        client.create_job(NS, job_named("a"))
    client.close()


def test_a_lost_answer_is_no_answer_and_the_next_try_a_conflict(cluster: FakeCluster, client: KubeClient) -> None:
    cluster.fault(Fault("create", "jobs", times=1, lose_answer=True))

    with pytest.raises(KubeUnavailableError):
        client.create_job(NS, job_named("a"))
    with pytest.raises(KubeConflictError):
        client.create_job(NS, job_named("a"))


def test_retry_after_holds_back_every_create(cluster: FakeCluster, tmp_path: Path) -> None:
    access = cluster_access(kubeconfig_file=str(cluster.kubeconfig(tmp_path)))
    waits: list[float] = []
    client = KubeClient(access, limit=CreateLimit(50.0, clock=lambda: 100.0, sleep=waits.append))
    cluster.fault(Fault("create", "jobs", times=1, status=429, reason="TooManyRequests", retry_after=7))

    with pytest.raises(KubeUnavailableError) as refused:
        client.create_job(NS, job_named("a"))
    client.create_job(NS, job_named("a"))

    assert refused.value.retry_after_s == 7.0
    assert waits == [7.0]
    client.close()


def test_creates_are_limited_after_a_seconds_worth() -> None:
    waits: list[float] = []
    limit = CreateLimit(10.0, clock=lambda: 100.0, sleep=waits.append)

    for _ in range(14):
        limit.wait()

    assert [round(w, 1) for w in waits] == [0.1, 0.2, 0.3]


def test_what_the_role_allows(cluster: FakeCluster, client: KubeClient) -> None:
    cluster.api.denied.add(("watch", "pods"))

    assert not client.can_i("watch", "pods", NS)
    assert client.can_i("create", "jobs", NS, group="batch")
    with pytest.raises(KubeForbiddenError, match="kubectl auth can-i"):
        list(client.watch("pods", NS, "run=r", "1", timeout_s=1, stall_s=1))


def test_the_log_of_a_pod_by_its_end(cluster: FakeCluster, client: KubeClient) -> None:
    client.create_job(NS, job_named("a"))
    cluster.wait_for("its pod", lambda: bool(cluster.all_pods()))
    cluster.pod_of("a").log(lambda: "1\n2\n3\n")

    assert client.pod_log(NS, cluster.all_pods()[0]["metadata"]["name"], tail_lines=2) == "2\n3\n"


# Watches ------------------------------------------------------------------------------------------------------------------------


def test_a_watch_tells_what_happens_until_the_server_ends_it(cluster: FakeCluster, client: KubeClient) -> None:
    version = client.list_jobs(NS, "run=r").version
    client.create_job(NS, job_named("a"))

    told = list(client.watch("jobs", NS, "run=r", version, timeout_s=1, stall_s=10))

    assert told[0][0] == "ADDED"
    assert told[0][1]["metadata"]["name"] == "a"


def test_a_watch_of_an_old_version_has_expired(cluster: FakeCluster, client: KubeClient) -> None:
    version = client.list_jobs(NS, "run=r").version
    cluster.expire_watches()

    with pytest.raises(KubeExpiredError):
        list(client.watch("jobs", NS, "run=r", version, timeout_s=5, stall_s=10))


def test_a_watch_that_says_nothing_is_given_up(cluster: FakeCluster, client: KubeClient) -> None:
    cluster.freeze_watches()
    began = time.monotonic()

    with pytest.raises(KubeUnavailableError, match="broke off"):
        list(client.watch("jobs", NS, "run=r", "1", timeout_s=60, stall_s=0.3))

    assert time.monotonic() - began < 30


def test_a_watch_that_is_cut_ends(cluster: FakeCluster, client: KubeClient) -> None:
    told: list[Any] = []

    def read() -> None:
        try:
            told.extend(client.watch("jobs", NS, "run=r", "1", timeout_s=60, stall_s=30))
        except KubeUnavailableError as error:
            told.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    cluster.wait_for("the watch", lambda: cluster.faults.watches == 1)

    cluster.cut_watches()
    thread.join(20)

    assert not thread.is_alive()
    assert [type(t) for t in told] == [KubeUnavailableError]


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (403, 'pods "x" is forbidden: exceeded quota: q, requested: cpu=1', KubeQuotaError),
        (403, 'jobs.batch is forbidden: User "x" cannot create resource', KubeForbiddenError),
        (404, "not found", KubeNotFoundError),
        (422, "invalid", KubeRefusedError),
        (422, 'Job.batch "x" is invalid: metadata.uid: Invalid value: "u": field is immutable', KubeConflictError),
        (429, "slow down", KubeUnavailableError),
        (504, "timeout", KubeUnavailableError),
    ],
)
def test_errors_by_what_can_be_done(status: int, message: str, kind: type[Exception]) -> None:
    body = json.dumps({"kind": "Status", "message": message, "reason": "x"}).encode()

    assert type(error_of(status, body, "here")) is kind
