"""K8sRunLauncher: its conformance suite with real workers in the pods of a fake cluster, and what it does when the cluster does not do its part."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from runplane.errors import ConfigErrors, UnsupportedError
from runplane.events.origin import JobOrigin, ModuleCodePointer, RepositoryOrigin
from runplane.events.run import Run
from runplane.events.status import RunStatus
from runplane.events.wire import from_text
from runplane.instance import kubernetes_launching
from runplane.instance.instance import Instance
from runplane.kube.access import cluster_access
from runplane.kube.adoption import NameTakenError
from runplane.kube.client import KubeClient
from runplane.kube.create_limit import CreateLimit
from runplane.kube.errors import KubeForbiddenError, KubeNotFoundError, KubeUnavailableError
from runplane.kube.job_facts import Surroundings
from runplane.kube.settings import launcher_settings, resolved_launcher_config
from runplane.kube.shared_folders import unshared
from runplane.launchers.contract import CleanedUp, HealthState, LaunchRequest, TerminateResult, WorkerHandle
from runplane.launchers.k8s import K8sRunLauncher
from runplane.testing import RunLauncherContract
from runplane.testing.fake_cluster import FakeCluster, FakePod, Fault, ProcessPods
from runplane.testing.fake_cluster.pods import Script, runs
from runplane.testing.run_launcher_contract import Place

RUN_ID = "3c58b39d-8a58-44ef-bca2-0e4ca8100b7a"
DESCRIPTION = Path(__file__).resolve().parents[2] / "fixtures" / "description"
OTHER_ID = "aaa0b6f8-b717-4aef-a4aa-4e1c590b960f"


class TestK8sRunLauncher(RunLauncherContract):
    cluster: FakeCluster

    @pytest.fixture
    def place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
        # These pods are processes of this machine: they do reach a SQLite file of it.
        monkeypatch.setenv("RUNPLANE_PODS_ARE_LOCAL", "1")
        monkeypatch.setenv("RUNPLANE_LEASE_TTL", "2")
        (tmp_path / "home").mkdir()
        pods = ProcessPods()
        with FakeCluster(lambda _: pods) as cluster:
            config = {"job_image": "img:1", "kubeconfig_file": str(cluster.kubeconfig(tmp_path))}
            self.cluster = cluster
            made = Place(tmp_path, {"module": "dagster_k8s", "class": "K8sRunLauncher", "config": config})
            yield made
            made.open_gate()
            made.leave()
            pods.close()
            assert cluster.errors == []

    def test_the_log_says_what_was_made_and_the_run_what_image_it_has(self, place: Place) -> None:
        place.open_gate()
        run_id = place.launch()
        place.until(lambda: place.status(run_id).is_final, "the run ends")

        said = [event.body.get("message", "") for event in place.instance.tail(run_id)]
        assert "[K8sRunLauncher] Creating Kubernetes run worker job" in said
        assert "[K8sRunLauncher] Kubernetes run worker job created" in said
        assert place.instance.runs.get(run_id).tags["dagster/image"] == "img:1"
        (job,) = self.cluster.all_jobs()
        assert job["metadata"]["labels"]["runplane/instance-id"] == place.instance.instance_id


class Told:
    """Stands for the instance: remembers what it is told."""

    def __init__(self) -> None:
        self.surroundings = Surroundings({})
        self.warnings: list[str] = []
        self.notes: list[str] = []
        self.tags: dict[str, str] = {}
        self.known: dict[str, RunStatus] = {}
        self.local_files: dict[str, str] = {}
        self.documents: dict[str, str] = {}

    def note(
        self, run_id: str, message: str, metadata: Mapping[str, Any] | None = None, error: BaseException | None = None
    ) -> None:
        self.notes.append(message)

    def add_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        self.tags.update(tags)

    def outputs_lost(self, run: Run, manifest: Mapping[str, Any]) -> Sequence[str]:
        return unshared(manifest, self.local_files, "/home/storage")

    def keep_document(self, run_id: str, document: str) -> None:
        self.documents[run_id] = document

    def step_namespaces(self, run_id: str) -> Sequence[str]:
        return ("elsewhere",)

    def statuses(self, run_ids: Sequence[str]) -> Mapping[str, RunStatus]:
        return {run_id: self.known[run_id] for run_id in run_ids if run_id in self.known}

    def clean_up(self, client: KubeClient) -> CleanedUp:
        return CleanedUp(0)


@pytest.fixture
def told() -> Told:
    return Told()


Make = Callable[..., K8sRunLauncher]


@pytest.fixture
def make(cluster: FakeCluster, told: Told, tmp_path: Path) -> Iterator[Make]:
    made: list[K8sRunLauncher] = []
    file = str(cluster.kubeconfig(tmp_path))

    def launcher(**config: Any) -> K8sRunLauncher:
        resolved = resolved_launcher_config({"job_image": "img:1", **config}, {}, where="test")
        made.append(
            K8sRunLauncher(
                launcher_settings(resolved, {}),
                lambda: cluster_access(kubeconfig_file=file),
                told,
                limit=CreateLimit(None),
                sleep=lambda _: None,
            )
        )
        return made[-1]

    yield launcher
    for one in made:
        one.close()


def request(run_id: str = RUN_ID, resume_attempt: int = 0) -> LaunchRequest:
    origin = JobOrigin("j", RepositoryOrigin("python", ModuleCodePointer("m", "j")))
    return LaunchRequest(Run(run_id, "j", origin), "{}", resume_attempt)


def running(cluster: FakeCluster, job: str) -> FakePod:
    """Wait until the pod of a Job runs."""

    def runs_now() -> bool:
        pods = [pod for pod in cluster.all_pods() if pod["metadata"]["labels"].get("job-name") == job]
        return any(pod["status"].get("phase") == "Running" for pod in pods)

    cluster.wait_for("its pod runs", runs_now)
    return cluster.pod_of(job)


def until_gone(cluster: FakeCluster, launcher: K8sRunLauncher, handle: WorkerHandle) -> str:
    """Wait until the worker is gone; the evidence."""
    cluster.wait_for("it is gone", lambda: launcher.check(RUN_ID, handle).state is HealthState.GONE)
    return launcher.check(RUN_ID, handle).evidence


def test_a_launch_whose_answer_was_lost_makes_one_job(cluster: FakeCluster, make: Make) -> None:
    cluster.fault(Fault("create", "jobs", times=1, lose_answer=True))

    handle = make().launch(request())

    (job,) = cluster.all_jobs()
    assert handle == WorkerHandle(
        "k8s", {"namespace": "default", "job": job["metadata"]["name"], "uid": job["metadata"]["uid"]}
    )


def test_to_launch_twice_makes_one_job(cluster: FakeCluster, make: Make) -> None:
    launcher = make()

    assert launcher.launch(request()) == launcher.launch(request())
    assert len(cluster.all_jobs()) == 1


def test_an_api_that_is_away_is_waited_for(cluster: FakeCluster, make: Make) -> None:
    cluster.fault(Fault("create", "jobs", times=5, status=503))

    make().launch(request())

    assert len(cluster.all_jobs()) == 1


def test_an_api_that_stays_away_fails_the_launch(cluster: FakeCluster, make: Make, monkeypatch: Any) -> None:
    monkeypatch.setattr("runplane.launchers.k8s.PATIENCE_S", 0.0)
    cluster.fault(Fault("create", "jobs", status=503))

    with pytest.raises(KubeUnavailableError):
        make().launch(request())


def test_a_job_of_somebody_else_is_left_alone_and_it_is_said_whose_it_is(cluster: FakeCluster, make: Make) -> None:
    launcher = make()
    launcher.launch(request())
    (job,) = cluster.all_jobs()
    launcher.client.patch_job(
        "default", job["metadata"]["name"], {"metadata": {"labels": {"dagster/run-id": OTHER_ID}}}
    )

    with pytest.raises(NameTakenError) as refused:
        launcher.launch(request())

    assert OTHER_ID in str(refused.value)
    assert len(cluster.all_jobs()) == 1


def test_two_locations_with_two_images_run_side_by_side(cluster: FakeCluster, make: Make) -> None:
    launcher = make()
    for run_id, image in ((RUN_ID, "numbers:1"), (OTHER_ID, "words:2")):
        code = RepositoryOrigin("python", ModuleCodePointer("m", "j"), image)
        launcher.launch(LaunchRequest(Run(run_id, "j", JobOrigin("j", code)), "{}"))

    found = {}
    for job in cluster.all_jobs():
        (container,) = job["spec"]["template"]["spec"]["containers"]
        env = {entry["name"]: entry.get("value") for entry in container["env"]}
        found[job["metadata"]["labels"]["dagster/run-id"]] = (container["image"], env["DAGSTER_RUN_JOB_NAME"])
    assert found == {RUN_ID: ("numbers:1", "j"), OTHER_ID: ("words:2", "j")}


def test_a_namespace_that_is_not_there_and_a_role_without_the_verb(cluster: FakeCluster, make: Make) -> None:
    with pytest.raises(KubeNotFoundError) as missing:
        make(job_namespace="nowhere").launch(request())
    cluster.fault(Fault("create", "jobs", status=403, reason="Forbidden"))
    with pytest.raises(KubeForbiddenError) as forbidden:
        make().launch(request())

    assert "nowhere" in str(missing.value)
    assert "--explain" in str(missing.value.hint)
    assert "POST /apis/batch/v1/namespaces/default/jobs" in str(forbidden.value)
    assert "runplane doctor" in str(forbidden.value.hint)
    assert cluster.all_jobs() == []


def test_a_cluster_that_is_too_old_is_refused_by_its_version(
    cluster: FakeCluster, make: Make, monkeypatch: Any
) -> None:
    monkeypatch.setattr(KubeClient, "server_version", lambda _: (1, 26))

    with pytest.raises(UnsupportedError, match=r"got Kubernetes 1\.26, expected Kubernetes 1\.27 or newer"):
        make().launch(request())

    assert cluster.all_jobs() == []


def test_nothing_is_made_when_the_job_can_not_be(cluster: FakeCluster, make: Make, told: Told) -> None:
    with pytest.raises(ConfigErrors):
        make(job_image=None).launch(request())

    assert cluster.all_jobs() == []
    assert told.notes == []


def test_what_a_person_should_know_is_in_the_log_of_the_run(make: Make, told: Told) -> None:
    told.warnings = ["schedules: has no effect yet"]

    make(env_vars=["DB_PASSWORD=s3cret"]).launch(request())

    assert told.notes[0] == "Warning: schedules: has no effect yet"
    assert "DB_PASSWORD" in told.notes[1]
    assert "s3cret" not in "".join(told.notes)


def test_the_descriptions_instance_builds_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_PG_PASSWORD", "p")

    with Instance.from_yaml((DESCRIPTION / "dagster.yaml").read_text(), tmp_path) as instance:
        launcher = instance.launcher

    assert isinstance(launcher, K8sRunLauncher)
    assert launcher.settings.context.namespace == "dagster"


def test_a_further_worker_has_a_job_of_its_own(cluster: FakeCluster, make: Make) -> None:
    launcher = make()
    first = launcher.launch(request())

    second = launcher.resume(request(resume_attempt=1))

    assert second.data["job"] == first.data["job"] + "-1"
    args = cluster.store.get("jobs", "default", second.data["job"])["spec"]["template"]["spec"]["containers"][0]["args"]
    assert args[1:3] == ["api", "resume_run"]


def test_terminate_deletes_that_very_job_and_says_so_once(cluster: FakeCluster, make: Make, told: Told) -> None:
    launcher = make()
    handle = launcher.launch(request())
    other = launcher.launch(request(OTHER_ID))
    told.notes.clear()

    assert launcher.terminate(RUN_ID, handle) is TerminateResult.DELIVERED
    until_gone(cluster, launcher, handle)

    assert launcher.terminate(RUN_ID, handle) is TerminateResult.NOT_FOUND
    assert told.notes == ["Run was terminated successfully."]
    assert launcher.check(OTHER_ID, other).state is HealthState.ALIVE


def test_terminate_leaves_a_newer_job_of_the_same_name(cluster: FakeCluster, make: Make) -> None:
    launcher = make()
    handle = launcher.launch(request())
    older = WorkerHandle("k8s", {**handle.data, "uid": "another"})

    assert launcher.terminate(RUN_ID, older) is TerminateResult.NOT_FOUND
    assert launcher.check(RUN_ID, handle).state is HealthState.ALIVE


def test_a_job_that_is_over_stays_for_people_to_see(cluster: FakeCluster, make: Make) -> None:
    launcher = make()
    handle = launcher.launch(request())
    running(cluster, handle.data["job"]).exited(0)
    cluster.wait_for("it is over", lambda: "conditions" in cluster.all_jobs()[0]["status"])

    assert launcher.terminate(RUN_ID, handle) is TerminateResult.NOT_FOUND
    assert len(cluster.all_jobs()) == 1


def test_all_of_a_run_is_stopped_and_what_is_left_is_named(cluster: FakeCluster, make: Make) -> None:
    """A former worker, the newest one, and a step whose Job is in another namespace; nothing of another run."""
    cluster.program = lambda _: Script(runs, stop=lambda pod: None)  # they take their time
    cluster.add_namespace("elsewhere")
    launcher = make()
    launcher.launch(request())
    handle = launcher.resume(request(resume_attempt=1))
    another = launcher.launch(request("00000000-8a58-44ef-bca2-0e4ca8100b7a"))
    step = cluster.store.get("jobs", "default", handle.data["job"])
    labels = {**step["metadata"]["labels"], "app.kubernetes.io/component": "step_worker"}
    template = {**step["spec"]["template"], "metadata": {"labels": labels}}
    spec = {"backoffLimit": 0, "template": template}
    launcher.client.create_job("elsewhere", {"metadata": {"name": "step", "labels": labels}, "spec": spec})
    names = [f"dagster-run-{RUN_ID}", handle.data["job"], "step"]
    pods = [running(cluster, name) for name in names]

    left = launcher.stop_all(RUN_ID, handle)
    cluster.wait_for(
        "they are told", lambda: sum("deletionTimestamp" in p["metadata"] for p in cluster.all_pods()) == 3
    )

    assert sorted(left) == sorted(f"pod {pod.name} on node node-1" for pod in pods), "each is still there"
    for pod in pods:
        pod.exited(143)
    assert launcher.stop_all(RUN_ID, handle) == [], "nothing is left"
    assert launcher.check(RUN_ID, another).state is HealthState.ALIVE


def test_what_is_left_in_a_cluster_that_does_not_answer_is_not_nothing(cluster: FakeCluster, make: Make) -> None:
    launcher = make()
    handle = launcher.launch(request())
    cluster.fault(Fault(status=503))

    left = launcher.stop_all(RUN_ID, handle)

    assert all("can not be asked what is left" in words for words in left)
    assert len(left) == 2


def test_a_cluster_that_does_not_answer_is_unknown_and_never_gone(cluster: FakeCluster, make: Make, told: Told) -> None:
    launcher = make()
    handle = launcher.launch(request())
    cluster.fault(Fault(status=503))

    health = launcher.check(RUN_ID, handle)

    assert health.state is HealthState.UNKNOWN
    assert launcher.terminate(RUN_ID, handle) is TerminateResult.UNKNOWN
    assert "encountered error in delete_job" in told.notes[-1]


def test_a_worker_whose_image_is_refused_again_and_again_is_hopeless(cluster: FakeCluster, make: Make) -> None:
    cluster.program = lambda _: Script(lambda pod: pod.waiting("ImagePullBackOff", "back-off"))
    launcher = make()
    handle = launcher.launch(request())
    cluster.wait_for("its pod", lambda: bool(cluster.all_pods()))
    pod = cluster.pod_of(handle.data["job"])
    refused = 'Failed to pull image "img:1": manifest unknown: not found'

    pod.event("Failed", refused, count=2)
    not_yet = launcher.check(RUN_ID, handle)
    pod.event("Failed", "Error: ErrImagePull", count=5)
    pod.event("Failed", refused)
    refused_often = launcher.check(RUN_ID, handle)

    assert (not_yet.state, not_yet.is_hopeless) == (HealthState.ALIVE, False)
    assert (refused_often.state, refused_often.is_hopeless) == (HealthState.GONE, True)
    assert "manifest unknown" in refused_often.evidence


def test_what_is_gone_is_told_with_cause_and_last_lines(cluster: FakeCluster, make: Make) -> None:
    launcher = make()
    handle = launcher.launch(request())
    pod = running(cluster, handle.data["job"])
    pod.log(lambda: "line before the end\n")
    pod.exited(137, "OOMKilled")

    evidence = until_gone(cluster, launcher, handle)

    for words in (pod.name, "137", "OOMKilled", "line before the end", handle.data["job"]):
        assert words in evidence


def test_a_job_that_somebody_deleted_is_gone_when_its_pod_is(cluster: FakeCluster, make: Make) -> None:
    cluster.program = lambda _: Script(runs, stop=lambda pod: None)  # it takes its time
    launcher = make()
    handle = launcher.launch(request())
    pod = running(cluster, handle.data["job"])
    launcher.client.delete_job("default", handle.data["job"])
    cluster.wait_for("the Job is gone", lambda: launcher.client.get_job("default", handle.data["job"]) is None)

    still_there = launcher.check(RUN_ID, handle)
    pod.exited(143)

    assert still_there.state is HealthState.ALIVE
    until_gone(cluster, launcher, handle)


def test_many_launches_at_once(cluster: FakeCluster, make: Make) -> None:
    launcher = make()
    ids = [f"{n:08d}-8a58-44ef-bca2-0e4ca8100b7a" for n in range(20)]
    threads = [threading.Thread(target=launcher.launch, args=(request(run_id),)) for run_id in ids]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(cluster.all_jobs()) == 20


def test_jobs_of_runs_that_are_over_are_deleted_but_for_the_last_that_failed(
    cluster: FakeCluster, make: Make, told: Told
) -> None:
    launcher = make(runplane={"retention": {"keep_failed": 1}})
    plain = make()
    ids = [f"{n:08d}-8a58-44ef-bca2-0e4ca8100b7a" for n in range(5)]
    for run_id in ids:
        plain.launch(request(run_id))
        running(cluster, f"dagster-run-{run_id}").exited(0)
    cluster.wait_for("all are over", lambda: all("conditions" in job.get("status", {}) for job in cluster.all_jobs()))
    told.known = {
        ids[0]: RunStatus.SUCCESS,
        ids[1]: RunStatus.FAILURE,
        ids[2]: RunStatus.CANCELED,
        ids[3]: RunStatus.STARTED,
    }

    launcher.launch(request())

    cluster.wait_for("two are deleted", lambda: len(cluster.all_jobs()) == 4)
    left = {job["metadata"]["labels"]["dagster/run-id"] for job in cluster.all_jobs()}
    assert left == {ids[1], ids[3], ids[4], RUN_ID}


@pytest.mark.parametrize(
    ("storage", "words"),
    [
        ("", "SQLite"),
        ("storage: {postgres: {postgres_url: 'postgresql://u@localhost/d'}}", "localhost"),
        ("storage: {postgres: {postgres_url: 'postgresql://u@127.0.0.1:5433/d'}}", "127.0.0.1"),
    ],
)
def test_a_database_that_pods_can_not_reach_is_refused_before_anything_is_stored(
    tmp_path: Path, storage: str, words: str
) -> None:
    text = f"run_launcher: {{module: dagster_k8s, class: K8sRunLauncher}}\n{storage}"

    with Instance.from_yaml(text, tmp_path) as instance, pytest.raises(ConfigErrors) as refused:
        _ = instance.launcher

    assert words in str(refused.value)


def test_the_way_into_the_cluster_is_the_configured_one(cluster: FakeCluster, tmp_path: Path) -> None:
    file = cluster.kubeconfig(tmp_path, "team")
    text = (
        "storage: {postgres: {postgres_url: 'postgresql://u@db.example/d'}}\n"
        "run_launcher: {module: dagster_k8s, class: K8sRunLauncher, config: "
        f"{{kubeconfig_file: {file}, k8s_api_ssl_ca_cert_file: /ca.crt}}}}"
    )

    with Instance.from_yaml(text, tmp_path) as instance:
        launcher = instance.launcher

        assert isinstance(launcher, K8sRunLauncher)
        assert launcher.access.namespace == "team"
        assert launcher.access.load().ssl_ca_cert == "/ca.crt"


def test_a_start_timeout_of_the_launcher_wins_over_that_of_the_monitoring(tmp_path: Path) -> None:
    monitoring = "run_monitoring: {enabled: true, start_timeout_seconds: 300}\n"
    launcher = (
        "run_launcher: {module: dagster_k8s, class: K8sRunLauncher, config: {runplane: {start_timeout_seconds: 60}}}"
    )

    assert Instance.from_yaml(monitoring + launcher, tmp_path).start_timeout_s == 60
    assert Instance.from_yaml(monitoring, tmp_path).start_timeout_s == 300


VOLUME = {
    "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}],
    "volume_mounts": [{"name": "v", "mountPath": "/home/storage"}],
}


@pytest.mark.parametrize(
    ("config", "files", "said"),
    [
        ({}, {"io_manager": ""}, ["io_manager"]),
        (VOLUME, {"io_manager": "", "other": "/data/numbers"}, ["other"]),
        ({"volumes": [{"name": "v", "emptyDir": {}}], "volume_mounts": VOLUME["volume_mounts"]}, {"io": ""}, ["io"]),
        ({}, {}, []),
    ],
)
def test_io_managers_whose_files_other_pods_will_not_find_are_named_at_launch(
    make: Make, told: Told, config: dict[str, Any], files: dict[str, str], said: list[str]
) -> None:
    told.local_files = files

    make(**config).launch(request())

    warnings = [note for note in told.notes if note.startswith("Warning: the IO manager")]
    assert [note.split("'")[1] for note in warnings] == said


def text_6() -> str:
    """The description's document."""
    container = yaml.safe_load((DESCRIPTION / "text6.yaml").read_text())["spec"]["containers"][0]
    return str(container["args"][-1])


def test_pods_that_read_the_storage_from_a_config_map_find_the_rest_with_the_run(
    make: Make, told: Told, cluster: FakeCluster
) -> None:
    make(runplane={"instance": "mount"}, instance_config_map="cm").launch(replace(request(), document=text_6()))

    (job,) = cluster.all_jobs()
    args = job["spec"]["template"]["spec"]["containers"][0]["args"]
    assert from_text(args[-1]).instance is None
    assert from_text(told.documents[RUN_ID]).instance is not None


def test_the_kubeconfig_of_the_machine_that_launches_is_not_looked_for_in_pods(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(kubernetes_launching, "cluster_access", lambda **given: asked.append(given))
    there = tmp_path / "there"
    there.touch()
    pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}

    for file, env in ((tmp_path / "missing", {}), (tmp_path / "missing", pod), (there, pod)):
        kubernetes_launching.access_of({"load_incluster_config": False, "kubeconfig_file": str(file)}, env)

    assert [given["kubeconfig_file"] for given in asked] == [str(tmp_path / "missing"), None, str(there)]
    assert [given["load_incluster_config"] for given in asked] == [False, None, False]
