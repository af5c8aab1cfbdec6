"""The cluster in memory does what a real one does, as far as our tests stand on it."""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest

from runplane.testing.fake_cluster import FakeCluster, Fault, ProcessPods
from runplane.testing.fake_cluster.cluster import TOKEN
from runplane.testing.fake_cluster.pods import Script, runs, succeeds

JOBS = "/apis/batch/v1/namespaces/default/jobs"
PODS = "/api/v1/namespaces/default/pods"


class Client:
    def __init__(self, cluster: FakeCluster) -> None:
        self.cluster = cluster
        self._opened: list[Any] = []

    def close(self) -> None:
        for opened in self._opened:
            opened.close()

    def open(self, method: str, path: str, body: Any = None) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.cluster._port, timeout=10)
        self._opened.append(connection)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        self._opened.append(answer)
        return answer

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        answer = self.open(method, path, body)
        text = answer.read()
        return answer.status, json.loads(text) if answer.getheader("Content-Type") == "application/json" else text

    def job(self, name: str = "j", **spec: Any) -> dict[str, Any]:
        code, made = self.ask("POST", JOBS, job_named(name, **spec))
        assert code == 201, made
        return dict(made)

    def conditions(self, name: str = "j") -> list[str]:
        status = self.cluster.store.get("jobs", "default", name).get("status") or {}
        return [c["type"] for c in status.get("conditions") or ()]


def job_named(name: str, **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    return {
        "metadata": {"name": name, "labels": {"run": "r"}},
        "spec": {"backoffLimit": 0, "template": template, **spec},
    }


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    with FakeCluster(lambda pod: Script(runs)) as made:
        yield made
        assert made.errors == []


@pytest.fixture
def client(cluster: FakeCluster) -> Iterator[Client]:
    made = Client(cluster)
    yield made
    made.close()


def test_a_job_gets_a_pod_and_is_complete_when_the_pod_has_ended(cluster: FakeCluster, client: Client) -> None:
    client.job()
    cluster.wait_for("the pod", lambda: bool(cluster.all_pods()))
    cluster.wait_for("its run", lambda: cluster.all_pods()[0]["status"]["phase"] == "Running")

    cluster.pod_of("j").exited(0)

    cluster.wait_for("the end", lambda: "Complete" in client.conditions())
    pod = cluster.all_pods()[0]
    assert pod["metadata"]["labels"]["job-name"] == "j"
    assert client.conditions() == ["SuccessCriteriaMet", "Complete"]
    assert client.ask("GET", f"{JOBS}/j")[1]["status"]["succeeded"] == 1


def test_the_handle_of_a_pod_that_is_stored_is_waited_for_until_its_program_has_started(
    cluster: FakeCluster, client: Client
) -> None:
    starting, go_on = threading.Event(), threading.Event()
    cluster.program = lambda pod: Script(lambda p: (starting.set(), go_on.wait(), runs(p)))
    client.job()
    assert starting.wait(20)

    with ThreadPoolExecutor(1) as asker:
        asked = asker.submit(cluster.pod_of, "j")
        too_early = wait([asked], 0.1).done
        go_on.set()

    assert too_early == set()
    assert asked.result(20).name == cluster.all_pods()[0]["metadata"]["name"]
    assert cluster.all_pods()[0]["status"]["phase"] == "Running"


def test_a_pod_that_nobody_made_has_no_handle(cluster: FakeCluster) -> None:
    with pytest.raises(KeyError):
        cluster.pod_of("j")


def test_a_deleted_pod_counts_as_failed_while_it_runs_and_failed_comes_after_it(
    cluster: FakeCluster, client: Client
) -> None:
    cluster.program = lambda pod: Script(runs, lambda stopped: None)
    client.job()
    cluster.wait_for("the pod", lambda: bool(cluster.all_pods()) and "nodeName" in cluster.all_pods()[0]["spec"])

    client.ask("DELETE", f"{PODS}/{cluster.all_pods()[0]['metadata']['name']}")

    cluster.wait_for("the first sign", lambda: client.conditions() == ["FailureTarget"])
    assert cluster.store.get("jobs", "default", "j")["status"]["failed"] == 1
    cluster.pod_of("j").exited(143)
    cluster.wait_for("the end", lambda: client.conditions() == ["FailureTarget", "Failed"])
    assert cluster.all_pods() == []


def test_failed_pods_are_followed_by_others_up_to_the_backoff_limit(cluster: FakeCluster, client: Client) -> None:
    cluster.program = lambda pod: Script(lambda p: (p.scheduled(), p.running(), p.exited(3)))
    rules = [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]

    client.job(backoffLimit=2, podFailurePolicy={"rules": rules})

    cluster.wait_for("the end", lambda: "Failed" in client.conditions())
    assert len(cluster.all_pods()) == 3


def test_a_job_that_is_deleted_takes_its_pods_along_only_when_asked_to(cluster: FakeCluster, client: Client) -> None:
    for name in ("kept", "gone"):
        client.job(name)
    cluster.wait_for("the pods", lambda: len(cluster.all_pods()) == 2)

    client.ask("DELETE", f"{JOBS}/kept")
    client.ask("DELETE", f"{JOBS}/gone", {"propagationPolicy": "Background"})

    cluster.wait_for("the pod's end", lambda: len(cluster.all_pods()) == 1 and cluster.all_jobs() == [])
    assert cluster.all_pods()[0]["metadata"]["name"].startswith("kept")


def test_a_delete_with_another_uid_is_refused(client: Client) -> None:
    client.job()

    code, answer = client.ask("DELETE", f"{JOBS}/j", {"preconditions": {"uid": "another"}})

    assert (code, answer["reason"]) == (409, "Conflict")


def test_finished_jobs_go_after_their_time(cluster: FakeCluster, client: Client) -> None:
    cluster.program = lambda pod: Script(succeeds)

    client.job(ttlSecondsAfterFinished=0)

    cluster.wait_for("the end", lambda: cluster.all_jobs() == [] and cluster.all_pods() == [])


def test_what_an_owner_owns_goes_with_it_and_a_second_owner_keeps_it(cluster: FakeCluster, client: Client) -> None:
    first, second = client.job("first"), client.job("second")
    owners = [{"apiVersion": "batch/v1", "kind": "Job", "name": o["metadata"]["name"], "uid": o["metadata"]["uid"]} for o in (first, second)]  # fmt: skip
    for name, owned_by in (("of-one", owners[:1]), ("of-both", owners)):
        step = job_named(name)
        step["metadata"]["ownerReferences"] = owned_by
        client.ask("POST", JOBS, step)

    client.ask("DELETE", f"{JOBS}/first", {"propagationPolicy": "Background"})

    names = lambda: sorted(j["metadata"]["name"] for j in cluster.all_jobs())
    cluster.wait_for("the owned Job's end", lambda: names() == ["of-both", "second"])


def test_a_suspended_job_has_no_pod(cluster: FakeCluster, client: Client) -> None:
    client.job(suspend=True)
    cluster.wait_for("the condition", lambda: client.conditions() == ["Suspended"])
    assert cluster.all_pods() == []

    client.ask("PATCH", f"{JOBS}/j", {"spec": {"suspend": False}})
    cluster.wait_for("the pod", lambda: bool(cluster.all_pods()))
    client.ask("PATCH", f"{JOBS}/j", {"spec": {"suspend": True}})

    cluster.wait_for("its end", lambda: cluster.all_pods() == [])
    assert "Failed" not in client.conditions()


def test_a_watch_tells_what_happened_since_the_list(cluster: FakeCluster, client: Client) -> None:
    version = client.ask("GET", f"{JOBS}?labelSelector=run%3Dr")[1]["metadata"]["resourceVersion"]
    client.job()

    watch = client.open("GET", f"{JOBS}?watch=1&resourceVersion={version}&labelSelector=run%3Dr&timeoutSeconds=1")

    types = [json.loads(line)["type"] for line in watch.read().splitlines()]
    assert types[0] == "ADDED"
    assert set(types[1:]) == {"MODIFIED"}


def test_a_watch_of_a_version_that_is_forgotten_gets_410(cluster: FakeCluster, client: Client) -> None:
    version = client.ask("GET", JOBS)[1]["metadata"]["resourceVersion"]
    cluster.expire_watches()

    told = json.loads(client.open("GET", f"{JOBS}?watch=1&resourceVersion={version}").read())

    assert (told["type"], told["object"]["code"]) == ("ERROR", 410)


def test_a_quiet_watch_has_bookmarks(cluster: FakeCluster, client: Client) -> None:
    cluster.api.bookmark_s = 0.1

    watch = client.open("GET", f"{JOBS}?watch=1&resourceVersion=1&allowWatchBookmarks=true&timeoutSeconds=1")

    assert json.loads(watch.readline())["type"] == "BOOKMARK"


def test_lists_come_in_pages_and_by_labels(client: Client) -> None:
    for i in range(5):
        client.job(f"j{i}")

    first = client.ask("GET", f"{JOBS}?limit=3&labelSelector=run%20in%20(r,s)")[1]
    rest = client.ask("GET", f"{JOBS}?limit=3&labelSelector=run%20in%20(r,s)&continue={first['metadata']['continue']}")[
        1
    ]

    assert [j["metadata"]["name"] for j in [*first["items"], *rest["items"]]] == [f"j{i}" for i in range(5)]
    assert client.ask("GET", f"{JOBS}?labelSelector=run!%3Dr")[1]["items"] == []


def test_faults_on_demand(cluster: FakeCluster, client: Client) -> None:
    cluster.fault(Fault("create", "jobs", times=1, status=429, reason="TooManyRequests", retry_after=7))
    refused = client.open("POST", JOBS, job_named("a"))
    cluster.fault(Fault("create", "jobs", times=1, lose_answer=True))
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        client.open("POST", JOBS, job_named("b"))
    hanging = cluster.fault(Fault("get", "jobs", hang=True))
    connection = http.client.HTTPConnection("127.0.0.1", cluster._port, timeout=0.2)
    connection.request("GET", f"{JOBS}/b", headers={"Authorization": f"Bearer {TOKEN}"})
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()
    cluster.faults.end(hanging)

    assert (refused.status, refused.getheader("Retry-After")) == (429, "7")
    assert [j["metadata"]["name"] for j in cluster.all_jobs()] == ["b"]
    assert cluster.counts()["create jobs"] == 2


def test_roles_and_tokens(cluster: FakeCluster, client: Client) -> None:
    cluster.api.denied.add(("watch", "pods"))
    asked = lambda verb: {"spec": {"resourceAttributes": {"verb": verb, "resource": "pods"}}}
    review = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

    allowed = [client.ask("POST", review, asked(verb))[1]["status"]["allowed"] for verb in ("watch", "list")]

    assert allowed == [False, True]
    assert client.ask("GET", f"{PODS}?watch=1")[0] == 403
    cluster.api.token = "another"
    assert client.ask("GET", PODS)[0] == 401


def test_an_api_server_that_is_away_comes_back_at_its_place(cluster: FakeCluster, client: Client) -> None:
    client.job()
    cluster.stop_api()
    with pytest.raises(ConnectionRefusedError):
        client.ask("GET", JOBS)

    cluster.start_api()

    assert len(client.ask("GET", JOBS)[1]["items"]) == 1


def test_process_pods_run_what_the_container_says(tmp_path: Path) -> None:
    programs = ProcessPods({"GREETING": "from the image"})
    with FakeCluster(lambda pod: programs) as cluster:
        client = Client(cluster)
        cluster.store.create("secrets", {"metadata": {"name": "s", "namespace": "default"}, "stringData": {"k": "v"}})
        code = "import os, sys, time; print(os.environ['GREETING'], os.environ['K'], flush=True); time.sleep(60)"
        env = [{"name": "K", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]
        container = {"name": "c", "image": "i", "command": [sys.executable, "-c", code], "env": env}
        client.job(template={"spec": {"containers": [container], "terminationGracePeriodSeconds": 1}})
        cluster.wait_for("the pod", lambda: bool(cluster.all_pods()))
        name = cluster.all_pods()[0]["metadata"]["name"]
        cluster.wait_for("its words", lambda: client.ask("GET", f"{PODS}/{name}/log")[1] == b"from the image v\n")
        began = time.monotonic()

        client.ask("DELETE", f"{JOBS}/j", {"propagationPolicy": "Background"})

        cluster.wait_for("the pod's end", lambda: cluster.all_pods() == [])
        assert time.monotonic() - began < 10
        assert programs.processes() == []
        programs.close()
        client.close()
        assert cluster.errors == []
