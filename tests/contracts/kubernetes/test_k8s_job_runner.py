"""The runner of steps as Jobs, on a cluster in memory whose pods do what a test says."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from runplane.errors.exit_codes import ExitCode
from runplane.events.causes import FailureCause
from runplane.executors import k8s_attempts, k8s_beginning, k8s_ending, k8s_refused_creates, k8s_runner
from runplane.executors.contract import RunnerNote, StepOrder
from runplane.executors.k8s_runner import K8sJobRunner
from runplane.kube import client as client_module
from runplane.kube.client import KubeClient
from runplane.kube.health import judge
from runplane.kube.verdict import Health
from runplane.storage.contract import AttemptRef
from runplane.testing import StepRunnerContract
from runplane.testing.fake_cluster import FakeCluster, FakePod, Fault
from runplane.testing.fake_cluster.pods import Script, runs
from services.k8s_bench import NS, PACE, SELECTOR, A, Bench, Jobs, order

LONGEST_WITHOUT_POD_S, LONGEST_BETWEEN_READS_S = k8s_beginning.NO_POD_S, k8s_refused_creates.READ_S


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "FIRST_DELAY_S", 0.01)
    monkeypatch.setattr(k8s_attempts, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(k8s_attempts, "LONGEST_PAUSE_S", 0.2)
    monkeypatch.setattr(k8s_runner, "LINGER_S", 0.05)
    monkeypatch.setattr(k8s_ending, "CHECK_S", 1.0)
    monkeypatch.setattr(k8s_beginning, "NOTE_S", 0.3)
    monkeypatch.setattr(k8s_beginning, "NO_POD_S", 0.1)
    monkeypatch.setattr(k8s_beginning, "READ_S", 0.2)
    monkeypatch.setattr(k8s_refused_creates, "READ_S", 0.2)


@pytest.fixture
def jobs() -> Jobs:
    return Jobs()


@pytest.fixture
def bench(cluster: FakeCluster, client: KubeClient, jobs: Jobs) -> Iterator[Bench]:
    made = Bench(cluster, client, jobs)
    yield made
    made.runner.close()


class TestContract(StepRunnerContract):
    attempts_stand_for_themselves = True

    @pytest.fixture
    def make_runner(self, cluster: FakeCluster, client: KubeClient, jobs: Jobs) -> Any:
        def does(pod: FakePod) -> None:
            runs(pod)
            step = pod.annotations["runplane/step-key"]
            if step != "hangs":
                pod.exited(0 if step == "succeeds" else 3)

        cluster.program = lambda pod: Script(does)
        return lambda report: K8sJobRunner(report, client, jobs, NS, SELECTOR, PACE)

    def order(self, what: str) -> StepOrder:
        return order(what)


# Creating ---------------------------------------------------------------------------------------------------------------------


def test_a_create_whose_answer_is_lost_makes_one_job_and_it_is_taken(bench: Bench) -> None:
    bench.cluster.fault(Fault("create", "jobs", times=1, lose_answer=True))

    pod = bench.starts()

    assert len(bench.cluster.all_jobs()) == 1
    pod.exited(137, "OOMKilled")
    assert bench.gone().cause is FailureCause.OUT_OF_MEMORY


def test_creates_that_get_no_answer_are_tried_until_there_is_one(bench: Bench) -> None:
    bench.cluster.fault(Fault("create", "jobs", times=5, status=503))
    bench.cluster.fault(Fault("create", "jobs", times=2, status=429, retry_after=0))

    bench.starts()

    assert not bench.heard.ended(A)


def taken_by(kind: str, jobs: Jobs, cluster: FakeCluster, client: KubeClient) -> None:
    """A Job of the name that the attempt is going to have."""
    manifest = jobs.manifest(A)
    labels = manifest["metadata"]["labels"]
    if kind == "an older attempt":
        labels["runplane/attempt"] = "0"
    elif kind == "another instance":
        labels["runplane/instance-id"] = "another"
    elif kind == "another step":
        manifest["metadata"]["annotations"]["runplane/step-key"] = "b"
    elif kind == "nobody of ours":
        labels.clear()
    if kind == "terminating":
        cluster.program = lambda pod: Script(runs, lambda p: None)
    elif kind == "failed":
        cluster.program = lambda pod: Script(lambda p: (runs(p), p.exited(3)))
    client.create_job(NS, manifest)
    if kind == "failed":
        failed = lambda: "'Failed'" in str(cluster.all_jobs()[0].get("status"))
        cluster.wait_for("its end", failed)
    if kind == "terminating":
        cluster.wait_for("its pod", lambda: bool(cluster.all_pods()))
        client.delete_job(NS, jobs.name(A), propagation="Foreground")


@pytest.mark.parametrize("kind", ["an older attempt", "another instance", "another step", "nobody of ours"])
def test_a_name_that_is_taken_by_another_job_is_refused_with_whose_it_is(
    cluster: FakeCluster, client: KubeClient, jobs: Jobs, kind: str
) -> None:
    taken_by(kind, jobs, cluster, client)
    bench = Bench(cluster, client, jobs)

    bench.runner.start(order())

    assert "is not this attempt's" in bench.refused().evidence
    assert len(cluster.all_jobs()) == 1, "what is somebody else's is left alone"
    bench.runner.close()


def test_a_job_of_this_very_attempt_that_failed_is_gone_and_not_waited_for(
    cluster: FakeCluster, client: KubeClient, jobs: Jobs
) -> None:
    taken_by("failed", jobs, cluster, client)
    bench = Bench(cluster, client, jobs)

    bench.runner.start(order())

    assert bench.gone().cause is FailureCause.CRASHED
    bench.runner.close()


def test_a_job_of_this_very_attempt_that_is_being_deleted_is_waited_for(bench: Bench) -> None:
    taken_by("terminating", bench.jobs, bench.cluster, bench.client)

    bench.runner.start(order())
    pod = bench.cluster.pod_of(bench.jobs.name(A))
    bench.nothing_is_told()
    pod.exited(0)

    assert bench.gone().cause is FailureCause.LOST


def test_a_pod_that_its_job_left_behind_is_waited_for(bench: Bench) -> None:
    pod = bench.starts()
    bench.client.delete_job(NS, bench.jobs.name(A), propagation="Orphan")
    bench.nothing_is_told()

    pod.exited(0)

    assert bench.gone().cause is FailureCause.LOST


def test_a_job_that_is_denied_is_refused(bench: Bench) -> None:
    bench.cluster.fault(Fault("create", "jobs", status=422, reason="Invalid"))

    bench.runner.start(order())

    assert "Its Job can not be created" in bench.refused().evidence


def test_a_role_that_comes_back_is_waited_for_and_one_that_does_not_is_told(bench: Bench) -> None:
    bench.cluster.fault(Fault("create", "jobs", times=2, status=403, reason="Forbidden"))
    bench.starts()
    bench.cluster.api.denied.add(("create", "jobs"))

    bench.runner.start(order("b"))

    assert "kubectl auth can-i" in bench.refused().evidence


# What becomes of it -------------------------------------------------------------------------------------------------------------


def test_a_job_that_is_failing_is_not_gone_while_its_pod_runs(bench: Bench) -> None:
    bench.cluster.program = lambda pod: Script(runs, lambda p: None)
    pod = bench.starts()
    bench.client.delete_pod(NS, pod.name)
    conditions = lambda: str(bench.cluster.store.get("jobs", NS, bench.jobs.name(A))["status"].get("conditions"))
    bench.cluster.wait_for("FailureTarget", lambda: "FailureTarget" in conditions())

    bench.nothing_is_told()

    pod.exited(143)
    assert bench.gone().cause is FailureCause.INTERRUPTED


def test_why_it_died_is_told_with_its_last_lines_without_secrets(bench: Bench) -> None:
    pod = bench.starts()
    pod.log(lambda: "one\npostgresql://me:hunter2@db/x\nlast words\n")
    pod.event("BackOff", "restarting failed container")

    pod.exited(3)

    evidence = bench.gone().evidence
    for words in (
        "Discovered failed Kubernetes job job-a-1 for step a",
        "exit code 3",
        pod.name,
        "last words",
        "BackOff",
    ):
        assert words in evidence
    assert "hunter2" not in evidence


def test_a_job_that_is_deleted_is_gone_when_its_pod_is(bench: Bench) -> None:
    bench.starts()

    bench.client.delete_job(NS, bench.jobs.name(A))

    assert bench.gone().cause in (FailureCause.LOST, FailureCause.INTERRUPTED)


def test_absence_that_only_a_cache_tells_is_not_believed(bench: Bench) -> None:
    bench.starts()
    watch = bench.runner._watch
    bench.cluster.wait_for("its pod in the watch", lambda: bool(watch.observed(bench.jobs.name(A)).pods))

    for resource in ("jobs", "pods"):
        watch.replace(resource, client_module.Listing([], "999999"))

    bench.nothing_is_told()


def test_an_image_that_is_missing_ends_the_attempt_and_its_job(bench: Bench) -> None:
    def refuses(pod: FakePod) -> None:
        pod.scheduled()
        for _ in range(3):
            pod.waiting("ErrImagePull", "manifest unknown: not found")
            pod.waiting("ImagePullBackOff", "back-off")

    bench.cluster.program = lambda pod: Script(refuses)

    bench.runner.start(order())

    assert "refused the image again and again" in bench.refused().evidence
    assert bench.cluster.all_jobs() == []


@pytest.mark.parametrize(("code", "why"), [(127, "no such program"), (ExitCode.VERSION_SKEW, "protocol 2.0")])
def test_a_pod_that_ends_by_saying_that_it_never_can_is_refused_with_what_it_printed(
    bench: Bench, code: int, why: str
) -> None:
    """An image without runplane, or of another major version: its pod has ended, and another one would end the same way."""
    pod = bench.starts()
    pod.log(lambda: f"{why}\n")

    pod.exited(code)

    assert why in bench.refused().evidence
    (job,) = bench.cluster.all_jobs()
    assert job["metadata"]["name"] == bench.jobs.name(A), "it stays for people to see"


def test_a_full_quota_is_waited_for_and_said(bench: Bench) -> None:
    full = ['pods "x" is forbidden: exceeded quota: q, requested: pods=1']
    bench.cluster.jobs.refusal = lambda job: full[0] if full else None

    bench.runner.start(order())

    bench.cluster.wait_for("the note", lambda: any("exceeded quota" in note for note in bench.notes()))
    full.clear()
    bench.cluster.wait_for("its pod", lambda: bool(bench.cluster.all_pods()))
    assert not bench.heard.ended(A)


def test_what_an_admission_check_denies_is_known_within_ten_seconds() -> None:
    """The longest: the events were read just before the Job was there for long enough to be remarkable."""
    assert LONGEST_WITHOUT_POD_S + LONGEST_BETWEEN_READS_S <= 8, "2 s are left for the read"


def test_an_admission_check_that_says_no_is_believed(bench: Bench) -> None:
    bench.cluster.jobs.refusal = lambda job: 'pods "x" is forbidden: violates PodSecurity "restricted:latest"'

    bench.runner.start(order())

    assert "violates PodSecurity" in bench.refused().evidence


def test_what_does_not_start_in_time_is_ended(bench: Bench) -> None:
    bench.jobs.start_timeout = 0.5
    bench.cluster.program = lambda pod: Script(
        lambda p: p.condition("PodScheduled", "False", "Unschedulable", "0/3 nodes are available")
    )

    bench.runner.start(order())

    told = bench.gone()
    assert told.cause is FailureCause.START_TIMED_OUT
    assert "0/3 nodes are available" in told.evidence
    assert bench.cluster.all_jobs() == []


def test_a_suspended_job_is_pending_and_its_start_clock_stands_still(bench: Bench) -> None:
    bench.jobs.start_timeout = 2.0
    bench.jobs.spec["suspend"] = True
    bench.runner.start(order())
    # One each 0.3 s: it is suspended for longer than it may take to start.
    bench.cluster.wait_for("the notes", lambda: sum("is suspended" in note for note in bench.notes()) >= 8)

    bench.client.patch_job(NS, bench.jobs.name(A), {"spec": {"suspend": False}})

    bench.cluster.wait_for("its pod", lambda: bool(bench.cluster.all_pods()))
    bench.jobs.spec["suspend"] = False
    bench.nothing_is_told()


def test_a_job_that_is_suspended_in_mid_run_is_preempted(bench: Bench) -> None:
    bench.starts()

    bench.client.patch_job(NS, bench.jobs.name(A), {"spec": {"suspend": True}})

    assert bench.gone().cause in (FailureCause.PREEMPTED, FailureCause.INTERRUPTED)


def test_an_api_server_that_is_away_ends_nothing(bench: Bench) -> None:
    pod = bench.starts()
    away = bench.cluster.fault(Fault(status=503))
    bench.cluster.cut_watches()
    began = bench.cluster.counts()["watch pods"]
    bench.runner.start(order("b"))
    bench.cluster.wait_for("some tries", lambda: bench.cluster.counts()["watch pods"] > began + 3)
    pod.exited(0)

    bench.heard.take()
    assert not bench.heard.ended(A)
    bench.cluster.faults.end(away)
    assert bench.gone().cause is FailureCause.LOST
    bench.cluster.wait_for("the other", lambda: len(bench.cluster.all_jobs()) == 2)


@pytest.mark.parametrize("verb", ["create", "delete"])
def test_what_waits_for_an_api_server_is_done_as_soon_as_that_answers_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """Its own next try is an hour away: the watch, which asks more often, tells that there are answers."""
    monkeypatch.setattr(k8s_attempts, "FIRST_PAUSE_S", 3600.0)
    monkeypatch.setattr(k8s_attempts, "LONGEST_PAUSE_S", 3600.0)
    bench.starts()
    away = bench.cluster.fault(Fault(status=503))
    bench.cluster.cut_watches()
    if verb == "create":
        bench.runner.start(order("b"))
        waiting = AttemptRef("b", 1)
    else:
        bench.runner.stop(A, 0.0, FailureCause.CANCELED)
        waiting = A
    paused = lambda: any(one.ref == waiting and one.pause_s for one in bench.runner._attempts.all())
    bench.cluster.wait_for("its try, and a watch that is away", lambda: paused() and bool(bench.runner._watch.outage))

    bench.cluster.faults.end(away)

    jobs_left = {"create": 2, "delete": 0}[verb]
    bench.cluster.wait_for("what waited", lambda: len(bench.cluster.all_jobs()) == jobs_left)


# What is told of pods -----------------------------------------------------------------------------------------------------------


def pods_told(bench: Bench) -> list[dict[str, Any]]:
    bench.heard.take()
    events = [e for s in bench.heard.signals if isinstance(s, RunnerNote) for e in s.events]
    return [{"step": e.step, "n": e.n, **e.body["pod"]} for e in events if "pod" in e.body]


def test_a_pod_is_told_once_with_its_node_and_its_times(bench: Bench) -> None:
    pod = bench.starts()
    bench.cluster.wait_for("the event", lambda: bool(pods_told(bench)))
    pod.exited(3)
    bench.gone()

    (told,) = pods_told(bench)

    assert {"step": "a", "n": 1, "job": bench.jobs.name(A), "pod": pod.name, "node": "node-1"}.items() <= told.items()
    assert told["created_at"] <= told["scheduled_at"] <= told["started_at"]


def test_a_pod_that_never_started_is_told_with_the_attempts_end(bench: Bench) -> None:
    bench.jobs.start_timeout = 0.5
    bench.cluster.program = lambda pod: Script(lambda p: p.scheduled("node-7"))

    bench.runner.start(order())
    bench.gone()

    (told,) = pods_told(bench)
    assert (told["node"], "started_at" in told) == ("node-7", False)


def test_the_end_of_a_run_tells_of_pods_that_were_not_told(bench: Bench) -> None:
    """The driver does not wait for the end of the last steps' pods."""
    bench.cluster.program = lambda pod: Script(lambda p: p.scheduled("node-7"))
    bench.runner.start(order())
    seen = lambda: bench.runner._watch.observed(bench.jobs.name(A)).pods
    bench.cluster.wait_for("its pod on a node", lambda: any(pod["spec"].get("nodeName") for pod in seen()))

    (told,) = bench.runner.closing()

    assert "node-7" in str(told.body["pod"])
    assert bench.runner.closing() == []


# Stopping and taking over -------------------------------------------------------------------------------------------------------


def test_a_stop_is_over_when_neither_job_nor_pod_is_there(bench: Bench) -> None:
    ending = threading.Event()
    bench.cluster.program = lambda pod: Script(runs, lambda p: ending.set())
    pod = bench.starts()

    bench.runner.stop(A, 7.0, FailureCause.CANCELED)
    assert ending.wait(20)
    bench.cluster.program = lambda pod: Script(runs)
    bench.nothing_is_told()

    found = [p for p in bench.cluster.all_pods() if p["metadata"]["name"] == pod.name]
    assert found[0]["metadata"]["deletionGracePeriodSeconds"] == 7
    pod.exited(143)
    assert bench.gone().cause is FailureCause.CANCELED
    assert any("Deleting Kubernetes job job-a-1 for step" in note for note in bench.notes())


def test_a_stop_before_the_create_has_its_answer_leaves_no_job(bench: Bench) -> None:
    slow = bench.cluster.fault(Fault("create", "jobs", times=1, latency_s=0.5))
    bench.runner.start(order())
    bench.cluster.wait_for("the create", lambda: bench.cluster.counts()["create jobs"] == 1)

    bench.runner.stop(A, 1.0, FailureCause.CANCELED)

    assert bench.gone().cause is FailureCause.CANCELED
    assert bench.cluster.all_jobs() == []
    assert slow.times == 0


def test_a_stop_while_the_api_server_is_away_is_done_when_it_is_back(bench: Bench) -> None:
    bench.starts()
    away = bench.cluster.fault(Fault("delete", "", status=503))
    bench.runner.stop(A, 1.0, FailureCause.CANCELED)
    bench.cluster.wait_for("some tries", lambda: bench.cluster.counts()["delete jobs"] > 4)
    bench.heard.take()
    assert not bench.heard.ended(A)

    bench.cluster.faults.end(away)

    assert bench.gone().cause is FailureCause.CANCELED


def test_a_live_job_of_a_former_coordinator_is_adopted_and_owned(
    cluster: FakeCluster, client: KubeClient, jobs: Jobs, bench: Bench
) -> None:
    bench.starts()
    bench.runner._attempts.closed.set()  # it is killed: nothing is closed in order
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": cluster.all_pods()[0]["metadata"]["uid"]}
    second = Bench(cluster, client, Jobs(owner=owner))

    second.runner.probe(A)

    owners = lambda: cluster.store.get("jobs", NS, jobs.name(A))["metadata"].get("ownerReferences") or []
    cluster.wait_for("the new owner", lambda: [o["uid"] for o in owners()] == [owner["uid"]])
    assert not second.heard.ended(A)
    cluster.pod_of(jobs.name(A)).exited(3)
    assert second.gone().cause is FailureCause.CRASHED
    second.runner.close()
    bench.runner._attempts.closed.clear()


def test_close_leaves_jobs_that_run(bench: Bench) -> None:
    bench.starts()

    bench.runner.close()

    assert len(bench.cluster.all_jobs()) == len(bench.cluster.all_pods()) == 1


def test_a_job_whose_pod_ended_before_its_backoff_limit_gets_no_other_pod(bench: Bench) -> None:
    bench.jobs.spec["backoffLimit"] = 3
    bench.cluster.jobs.pod_backoff_s = 30.0
    bench.starts().exited(3)

    assert bench.gone().cause is FailureCause.CRASHED

    bench.cluster.wait_for("the Job's end", lambda: bench.cluster.all_jobs() == [])


def test_jobs_that_have_ended_stay_for_whoever_looks(bench: Bench) -> None:
    bench.starts("a").exited(0)
    bench.starts("b").exited(3)

    bench.gone()
    bench.gone(AttemptRef("b", 1))

    names = sorted(j["metadata"]["name"] for j in bench.cluster.all_jobs())
    assert (names, bench.cluster.counts()["delete jobs"]) == (["job-a-1", "job-b-1"], 0)


def test_a_stop_leaves_a_job_of_the_same_name_alone_that_is_another_attempts(bench: Bench) -> None:
    taken_by("another step", bench.jobs, bench.cluster, bench.client)

    bench.runner.stop(A, 1.0, FailureCause.CANCELED)

    assert bench.gone().cause is FailureCause.CANCELED
    assert (len(bench.cluster.all_jobs()), bench.cluster.counts()["delete jobs"]) == (1, 0)


def test_what_changes_while_a_call_is_on_its_way_is_looked_at_after_its_answer(bench: Bench) -> None:
    pod = bench.starts()
    attempt = bench.runner._attempts.get(A)
    assert attempt is not None
    asked, answer = threading.Event(), threading.Event()
    confirm = bench.runner._calls.confirm

    def slow(of: Any) -> Any:
        found = confirm(of)
        asked.set()
        assert answer.wait(20)
        return found

    bench.runner._calls.confirm = slow  # type: ignore[method-assign]
    bench.runner._attempts.post(lambda: bench.runner._ending.confirm(attempt))
    assert asked.wait(20)

    pod.exited(137, "OOMKilled")
    told = lambda: judge(bench.runner._watch.observed(bench.jobs.name(A))).health is Health.GONE
    bench.cluster.wait_for("the watch to tell of its end", told)
    bench.cluster.wait_for("the Job's end", lambda: "'Failed'" in str(bench.cluster.all_jobs()[0].get("status")))
    answer.set()

    assert bench.gone().cause is FailureCause.OUT_OF_MEMORY
