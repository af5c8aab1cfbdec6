"""Somebody else's image as a Job: created, its log printed, waited for, taken over by the step's next attempt, deleted on a cancel."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from runplane import RetryPolicy, execute_k8s_job, in_process_executor, job, k8s_job_op, op
from runplane.events.event import Event
from runplane.events.kinds import EventKind as K
from runplane.executors import foreign_run
from runplane.instance.instance import Instance
from runplane.kube import client as client_module
from runplane.kube.client import KubeClient
from runplane.testing.fake_cluster import FakeCluster, FakePod, Fault
from runplane.testing.fake_cluster.pods import Script, runs, succeeds


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "FIRST_DELAY_S", 0.01)
    monkeypatch.setattr(foreign_run, "POLL_S", 0.05)
    monkeypatch.setattr(foreign_run, "LOG_PAUSE_S", 0.05)


@pytest.fixture
def instance(cluster: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Instance]:
    monkeypatch.setenv("RUNPLANE_PODS_ARE_LOCAL", "1")
    config = {
        "job_image": "ours:1",
        "kubeconfig_file": str(cluster.kubeconfig(tmp_path)),
        "service_account_name": "jobs",
        "postgres_password_secret": "pg",
        "env_vars": ["STAGE=test"],
    }
    launcher = {"module": "dagster_k8s", "class": "K8sRunLauncher", "config": config}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump({"run_launcher": launcher}))
    with Instance.from_home(tmp_path) as made:
        yield made


def run_op(instance: Instance, *, raises: bool = True, retries: int = 0, **arguments: Any) -> Any:
    """A job of one op that runs the image `theirs`."""

    @op(tags={"dagster-k8s/config": {"container_config": {"env": [{"name": "FROM_TAG", "value": "1"}]}}})
    def foreign(context) -> None:  # type: ignore[no-untyped-def]
        execute_k8s_job(context, "theirs:2", **arguments)

    wired = foreign.with_retry_policy(RetryPolicy(max_retries=retries)) if retries else foreign

    @job(executor_def=in_process_executor)
    def alone() -> None:
        wired()

    return alone.execute_in_process(instance=instance, raise_on_error=raises)


def logged(instance: Instance, run_id: str) -> list[str]:
    events: list[Event] = instance.tail(run_id)
    return [str(event.body.get("message")) for event in events if event.kind == K.LOG]


def says(lines: str, then: Callable[[FakePod], None] = lambda pod: pod.exited(0)) -> Script:
    def does(pod: FakePod) -> None:
        runs(pod)
        pod.log(lambda: lines)
        then(pod)

    return Script(does)


def test_it_runs_prints_and_succeeds(
    instance: Instance, cluster: FakeCluster, capfd: pytest.CaptureFixture[str]
) -> None:
    cluster.program = lambda pod: says("hello from theirs\n")

    result = run_op(instance, command=["sh", "-c"], args=["echo hello"], resources={"limits": {"cpu": "1"}})

    assert result.success
    (made,) = cluster.all_jobs()
    pod = made["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert (container["image"], container["command"], container["args"]) == ("theirs:2", ["sh", "-c"], ["echo hello"])
    assert container["env"] == [{"name": "STAGE", "value": "test"}, {"name": "FROM_TAG", "value": "1"}]
    assert (pod["serviceAccountName"], container["resources"]) == ("jobs", {"limits": {"cpu": "1"}})
    labels = made["metadata"]["labels"]
    assert labels["app.kubernetes.io/component"] == "k8s_job_op"
    assert labels["runplane/instance-id"] == instance.instance_id
    assert len(made["metadata"]["name"]) == 32
    told = logged(instance, result.run_id)
    assert any("Creating Kubernetes job" in line and "theirs:2" in line for line in told)
    assert any("has succeeded" in line for line in told)
    assert capfd.readouterr().out.count("hello from theirs") == 1


def test_one_that_fails_is_told_with_its_last_lines_and_deleted(instance: Instance, cluster: FakeCluster) -> None:
    cluster.program = lambda pod: says("boom: no such table\n", lambda p: p.exited(3))

    with pytest.raises(Exception, match="exit code 3") as failed:
        run_op(instance)

    assert "boom: no such table" in str(failed.value)
    assert cluster.all_jobs() == []


def test_one_that_fails_stays_when_that_is_asked_for_and_a_retry_has_a_job_of_its_own(
    instance: Instance, cluster: FakeCluster
) -> None:
    cluster.program = lambda pod: says("", lambda p: p.exited(0 if pod.name.split("-")[1] == "1" else 3))

    result = run_op(instance, retries=1, delete_failed_k8s_jobs=False, k8s_job_name="mine")

    assert result.success
    assert sorted(one["metadata"]["name"] for one in cluster.all_jobs()) == ["mine", "mine-1"]


def test_an_image_that_is_missing_fails_at_once(instance: Instance, cluster: FakeCluster) -> None:
    def refuses(pod: FakePod) -> None:
        pod.scheduled()
        pod.waiting("InvalidImageName", "theirs:2 is no name")

    cluster.program = lambda pod: Script(refuses)

    with pytest.raises(Exception, match="InvalidImageName"):
        run_op(instance)

    assert cluster.all_jobs() == []


def test_one_that_takes_too_long_is_ended(instance: Instance, cluster: FakeCluster) -> None:
    cluster.program = lambda pod: Script(runs)

    with pytest.raises(Exception, match="did not end within 1 seconds"):
        run_op(instance, timeout=1)

    assert cluster.all_jobs() == []


def test_an_api_that_is_away_is_waited_for(instance: Instance, cluster: FakeCluster) -> None:
    cluster.program = lambda pod: Script(succeeds)
    cluster.fault(Fault("create", "jobs", times=3, status=503))
    cluster.fault(Fault("create", "jobs", times=1, lose_answer=True))
    cluster.fault(Fault("get", "jobs", times=9, status=503))

    assert run_op(instance).success

    assert len(cluster.all_jobs()) == 1


def test_a_name_that_is_somebody_elses_is_left_alone(
    instance: Instance, cluster: FakeCluster, client: KubeClient
) -> None:
    template = {"spec": {"containers": [{"name": "c", "image": "i"}]}}
    client.create_job("default", {"metadata": {"name": "mine"}, "spec": {"template": template}})

    with pytest.raises(Exception, match="not this attempt's"):
        run_op(instance, k8s_job_name="mine")

    assert len(cluster.all_jobs()) == 1


def test_k8s_job_op_takes_the_same_by_config(instance: Instance, cluster: FakeCluster) -> None:
    cluster.program = lambda pod: Script(succeeds)
    first = k8s_job_op.configured(
        {"image": "theirs:3", "args": ["x"], "security_context": {"runAsNonRoot": True}, "env_vars": ["A=1"]},
        name="first",
    )

    @job(executor_def=in_process_executor)
    def alone() -> None:
        first()

    assert alone.execute_in_process(instance=instance).success

    container = cluster.all_jobs()[0]["spec"]["template"]["spec"]["containers"][0]
    assert (container["image"], container["args"]) == ("theirs:3", ["x"])
    assert container["securityContext"] == {"runAsNonRoot": True}
    assert {"name": "A", "value": "1"} in container["env"]


# Attempts that follow one another: what is done about a Job of a former one is decided by what it is ---------------------------------


class Attempts:
    """Two attempts of one step that run the same Job, each as the op's context would have it."""

    def __init__(self, instance: Instance, cluster: FakeCluster, client: KubeClient) -> None:
        self.instance, self.cluster, self.client = instance, cluster, client
        self.said: list[str] = []

    def attempt(self, n: int, *, canceled: bool = False) -> foreign_run.ForeignRun:
        attempts = self

        class Log:
            def info(self, text: str) -> None:
                attempts.said.append(text)

            warning = info

        class Context:
            log = Log()

        labels = {
            "dagster/run-id": "r",
            "runplane/attempt": str(n),
            "runplane/instance-id": "i",
            "app.kubernetes.io/component": "k8s_job_op",
        }
        meta = {"labels": labels, "annotations": {"runplane/step-key": "a"}}
        spec = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}
        manifest = {
            "metadata": {"name": "mine", **meta},
            "spec": {"backoffLimit": 0, "template": {"metadata": meta, "spec": spec}},
        }
        rendered = foreign_run.RenderedJob("default", manifest, {})
        made = foreign_run.ForeignRun(Context(), self.client, rendered, None, delete_failed=True)  # type: ignore[arg-type]
        made._is_canceled = lambda: canceled  # type: ignore[method-assign]
        return made

    def runs_in_the_cluster(self, code: int | None = None) -> str:
        """The first attempt's Job runs, or has ended with that code; its process is not there any more. Its uid."""
        self.cluster.program = lambda pod: Script(runs)
        made = self.client.create_job("default", self.attempt(1)._job.manifest)
        self.cluster.wait_for(
            "its pod", lambda: any(p["status"]["phase"] == "Running" for p in self.cluster.all_pods())
        )
        if code is not None:
            self.cluster.pod_of("mine").exited(code)
            over = lambda: any(c["type"] in ("Complete", "Failed") for c in self._conditions())
            self.cluster.wait_for("its end", over)
        return str(made["metadata"]["uid"])

    def _conditions(self) -> list[dict[str, Any]]:
        return list((self.client.get_job("default", "mine") or {}).get("status", {}).get("conditions") or ())


@pytest.fixture
def attempts(instance: Instance, cluster: FakeCluster, client: KubeClient) -> Attempts:
    return Attempts(instance, cluster, client)


def test_a_job_that_a_lost_attempt_left_running_is_taken_over(attempts: Attempts) -> None:
    uid = attempts.runs_in_the_cluster()
    second = threading.Thread(target=attempts.attempt(2).run)
    second.start()
    attempts.cluster.wait_for("the take-over", lambda: any("Taking over" in text for text in attempts.said))

    attempts.cluster.pod_of("mine").exited(0)
    second.join(20)

    assert not second.is_alive()
    assert any("has succeeded" in text for text in attempts.said)
    assert [one["metadata"]["uid"] for one in attempts.cluster.all_jobs()] == [uid]


def test_a_job_that_succeeded_while_nobody_looked_is_not_run_again(attempts: Attempts) -> None:
    uid = attempts.runs_in_the_cluster(code=0)

    attempts.attempt(2).run()

    assert [one["metadata"]["uid"] for one in attempts.cluster.all_jobs()] == [uid]


def test_a_job_that_failed_while_nobody_looked_is_replaced(attempts: Attempts) -> None:
    uid = attempts.runs_in_the_cluster(code=3)
    attempts.cluster.program = lambda pod: Script(succeeds)

    attempts.attempt(2).run()

    (left,) = attempts.cluster.all_jobs()
    assert left["metadata"]["uid"] != uid


@pytest.mark.parametrize("canceled", [True, False])
def test_a_cancel_deletes_the_job_and_an_interruption_leaves_it_to_the_next_attempt(
    attempts: Attempts, monkeypatch: pytest.MonkeyPatch, canceled: bool
) -> None:
    attempts.cluster.program = lambda pod: Script(runs)
    told = threading.Event()

    def sleep(seconds: float) -> None:
        if told.is_set():
            raise KeyboardInterrupt
        if attempts.cluster.all_pods():
            told.set()
        time.sleep(0.01)

    monkeypatch.setattr(foreign_run, "time", _Clock(sleep))

    with pytest.raises(KeyboardInterrupt):
        attempts.attempt(1, canceled=canceled).run()

    assert (attempts.cluster.all_jobs() == []) is canceled


class _Clock:
    """The module `time`, with another sleep."""

    monotonic = staticmethod(time.monotonic)

    def __init__(self, sleep: Callable[[float], None]) -> None:
        self.sleep = sleep
