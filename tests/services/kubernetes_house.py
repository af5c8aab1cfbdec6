"""Runs on a real cluster: a namespace, a database, an instance on this machine, and pods that tell the test what they do.

The user's image holds `WORKFLOWS` at the place that origins name. Its bodies speak to the test over HTTP: what they do, and whether they
may go on.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from cluster.clusters import Cluster
from cluster.components import REGISTRY
from cluster.pods import CONTAINER_SECURITY, POD_SECURITY
from runplane.engine.snapshot import PlanSnapshot
from runplane.events.event import Event
from runplane.events.kinds import EventKind
from runplane.events.origin import FileCodePointer, JobOrigin, RepositoryOrigin
from runplane.events.status import RunStatus
from runplane.instance.instance import LEASE_TTL_ENV, Instance, RunRequest
from runplane.locations.subprocess_source import SubprocessCodeSource
from runplane.locations.target import CodeRequest, CodeTarget
from runplane.storage.contract import RunFilter
from runplane.testing.tier_a import check_events, check_no_success_ran_again
from services.postgres import PASSWORD

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "kubernetes"
SECRET = "dagster-postgresql-secret"
ACCOUNT = "dagster"
LAUNCHER = "launcher"
POWERLESS = "powerless"
"""An account without any role: of pods of steps, and of runs whose steps are processes."""
WATCHER = "WATCHER"
ENDS = frozenset({EventKind.RUN_SUCCESS, EventKind.RUN_FAILURE, EventKind.RUN_CANCELED})
PATIENCE_S = 120.0
NO_IMAGE = f"{REGISTRY}/nobody/nothing:1"
WORKFLOWS = '''
import os, time, urllib.error, urllib.parse, urllib.request
from runplane import Definitions, execute_k8s_job, job, k8s_job_executor, multiprocess_executor, op

TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"

def ask(what, **words):
    """Tell the test something; true when it says that this may go on."""
    url = f"{os.environ['WATCHER']}/{what}?{urllib.parse.urlencode(words)}"
    try:
        with urllib.request.urlopen(url, timeout=100) as answer:  # a test may do something before it answers
            return answer.status == 200
    except urllib.error.HTTPError:
        return False

def body(context):
    """One step's work: said to the test, and as long as the test wants."""
    seen = {"token": os.path.exists(TOKEN), "role": os.environ["DAGSTER_PG_USERNAME"]}
    ask("start", step=context.op.name, n=context.attempt, run=context.run_id, **seen)
    end = time.monotonic() + 300
    while not ask("may-end", step=context.op.name) and time.monotonic() < end:
        time.sleep(0.1)
    ask("end", step=context.op.name, n=context.attempt, run=context.run_id)

@op
def generate_numbers(context):
    body(context)
    print("ten numbers")
    return list(range(1, 11))

@op
def refuse_numbers(context, numbers):
    print(f"{sum(numbers)} is too much")
    raise ValueError("so it ends here")

@op
def filter_even(context, numbers):
    body(context)
    return [n for n in numbers if n % 2 == 0]

@op
def filter_odd(context, numbers):
    body(context)
    return [n for n in numbers if n % 2]

@op
def sum_even(context, numbers):
    body(context)
    return sum(numbers)

@op
def sum_odd(context, numbers):
    body(context)
    return sum(numbers)

@op
def sum_all(context, even, odd):
    body(context)
    assert even + odd == 55
    return even + odd

@op
def first(context):
    body(context)
    return 1

@op
def last(context, number):
    body(context)

def two_steps():
    last(first())

def six_steps():
    numbers = generate_numbers()
    sum_all(sum_even(filter_even(numbers)), sum_odd(filter_odd(numbers)))

@op(tags={"dagster-k8s/config": {"container_config": {"resources": {"limits": {"memory": "128Mi"}}}}})
def eats_memory(context):
    body(context)
    return len(bytearray(os.urandom(1 << 20) * 512))

@op
def loses_its_pod(context):
    body(context)

@op
def loses_its_job(context):
    body(context)

@op
def is_evicted(context):
    body(context)

@op
def is_killed(context):
    body(context)

@job(executor_def=k8s_job_executor.configured({"retries": {"enabled": {}}}))
def deaths():
    loses_its_pod()
    loses_its_job()
    is_evicted()
    is_killed()
    eats_memory()

@job(executor_def=multiprocess_executor, tags={"dagster-k8s/config": {"container_config": {"resources": {"limits": {"memory": "256Mi"}}}}})
def hungry():
    eats_memory()

powerless = {"pod_spec_config": {"service_account_name": "powerless", "automount_service_account_token": False}}
@op
def converts(context):
    execute_k8s_job(context, image=os.environ["IMAGE"], command=["python3", "-c"], args=["print('six times seven is', 6 * 7)"])

as_processes = {"executor_def": multiprocess_executor, "tags": {"dagster-k8s/config": powerless}}
as_jobs = {"executor_def": k8s_job_executor.configured({"runplane": {"step_service_account": "powerless"}})}
process_numbers = job(name="process_numbers", **as_processes)(six_steps)
process_numbers_k8s = job(name="process_numbers_k8s", **as_jobs)(six_steps)
@job(**as_jobs)
def refused_k8s():
    refuse_numbers(generate_numbers())

@job(**as_processes)
def refused():
    refuse_numbers(generate_numbers())

@job(**as_jobs)
def hungry_k8s():
    eats_memory()

@op(tags={"dagster-k8s/config": {"container_config": {"image": "NO IMAGE"}}})
def has_no_image(context):
    body(context)

@job(**as_jobs)
def step_without_image_k8s():
    has_no_image()

as_a_role = {"step_service_account": "powerless", "step_postgres_secret": "step-postgresql-secret"}
limited = k8s_job_executor.configured({"runplane": as_a_role, "env_vars": ["DAGSTER_PG_USERNAME=runplane_step"]})
as_another_role = job(name="as_another_role", executor_def=limited)(two_steps)

@job(executor_def=k8s_job_executor)
def foreign():
    converts()

two = job(name="two", **as_processes)(two_steps)
two_k8s = job(name="two_k8s", **as_jobs)(two_steps)
defs = Definitions(jobs=[
    process_numbers, process_numbers_k8s, refused, refused_k8s, two, two_k8s, as_another_role, foreign, deaths, hungry, hungry_k8s,
    step_without_image_k8s,
])
'''.replace("NO IMAGE", NO_IMAGE)


DOCKERFILE = """
FROM {base}
USER root
RUN python3 -m venv /tmp/tools \\
 && /tmp/tools/bin/pip --python /opt/runplane/bin/python install --no-cache-dir --disable-pip-version-check 'runplane[s3]' \\
 && rm -r /tmp/tools
USER 10001
COPY definitions.py /app/workflows/definitions.py
WORKDIR /app
"""


def build_workflows_image(base: str, name: str) -> None:
    """A user's image: the project's, with the client of S3 and the user's code."""
    with tempfile.TemporaryDirectory(prefix="runplane-workflows-") as folder:
        Path(folder, "definitions.py").write_text(WORKFLOWS)
        Path(folder, "Dockerfile").write_text(DOCKERFILE.format(base=base))
        build = ["docker", "build", "-q", "--network", "host", "-t", name, folder]
        done = subprocess.run(build, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


class Watcher:
    """What bodies of steps say, and whether they may end: over HTTP, at an address that pods reach.

    Attributes:
        said: all of it.
        strikes: run, "start" or "end", step -> what is done when a body says so the first time, before it is answered.
    """

    def __init__(self, host: str) -> None:
        self.said: list[dict[str, str]] = []
        self.strikes: dict[tuple[str, str, str], Callable[[], None]] = {}
        self._held: set[str] = set()
        watcher = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # noqa: N802 - the name that the base class calls
                url = urlsplit(self.path)
                words = {key: values[0] for key, values in parse_qs(url.query).items()}
                self.send_response(200 if watcher.told(url.path.strip("/"), words) else 409)
                self.end_headers()

            def log_message(self, *words: object) -> None:
                """Nothing is printed."""

        self._server = ThreadingHTTPServer((host, 0), Handler)
        self.url = f"http://{host}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def told(self, what: str, words: dict[str, str]) -> bool:
        """Keep what a body says; whether it may go on."""
        if what == "may-end":
            return words["step"] not in self._held
        self.said.append({"what": what, **words})
        self.strikes.pop((words["run"], what, words["step"]), lambda: None)()
        return True

    def hold(self, *steps: str) -> None:
        """Bodies of these steps wait."""
        self._held |= set(steps)

    def let_go(self) -> None:
        """Nobody waits any longer."""
        self._held.clear()

    def close(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


class House:
    """One test's instance, and its pods.

    Args:
        cluster: where the pods are.
        namespace: of its own.
        image: the user's.
        database_port: of this machine's loopback.
        database: its name.
        folder: empty.
        resumes: how often a run may get a further worker.
        shared: whether pods share a volume for outputs and logs; without it nothing is said of either.
        launched_by: module and class of the launcher.
        code: the jobs, as they are in the image.
        config: more of the launcher's config.
    """

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        image: str,
        database_port: int,
        database: str,
        folder: Path,
        *,
        resumes: int = 3,
        shared: bool = True,
        launched_by: tuple[str, str] = ("dagster_k8s", "K8sRunLauncher"),
        code: str = WORKFLOWS,
        **config: Any,
    ) -> None:
        self.cluster, self.namespace, self._image = cluster, namespace, image
        self.watcher = Watcher(cluster.host)
        self.folder = folder
        self._plans: dict[str, PlanSnapshot] = {}
        (folder / "definitions.py").write_text(code)
        self.shared = folder / "shared"
        volumes = self._share() if shared else {}
        port = cluster.reachable(database_port)
        postgres = {
            "username": {"env": "DAGSTER_PG_USERNAME"}, "password": {"env": "DAGSTER_PG_PASSWORD"}, "hostname": cluster.host, "db_name": database, "port": port,
        }  # fmt: skip
        launcher = {
            "job_namespace": namespace,
            "postgres_password_secret": SECRET,
            "service_account_name": ACCOUNT,
            "job_image": image,
            "env_vars": [
                f"{WATCHER}={self.watcher.url}",
                "RUNPLANE_LEASE_TTL=5",
                "DAGSTER_PG_USERNAME=postgres",
                f"IMAGE={image}",
            ],
            "run_k8s_config": {
                "pod_spec_config": {"security_context": POD_SECURITY},
                "container_config": {"security_context": CONTAINER_SECURITY},
            },
            **volumes,
            **config,
        }
        document = {
            "local_artifact_storage": {
                "module": "dagster.core.storage.root",
                "class": "LocalArtifactStorage",
                "config": {"base_dir": str(self.shared)},
            },
            "compute_logs": {
                "module": "dagster.core.storage.local_compute_log_manager",
                "class": "LocalComputeLogManager",
                "config": {"base_dir": str(self.shared)},
            },
            "storage": {"postgres": {"postgres_db": postgres}},
            "run_launcher": {"module": launched_by[0], "class": launched_by[1], "config": launcher},
            "run_monitoring": {"enabled": True, "max_resume_run_attempts": resumes, "poll_interval_seconds": 1},
        }
        if not shared:
            del document["local_artifact_storage"], document["compute_logs"]
        (folder / "dagster.yaml").write_text(yaml.safe_dump(document))
        self._admit()
        self.kubeconfig = self.kubeconfig_of(LAUNCHER)
        self.instance = Instance.from_home(folder)

    def submit(
        self, job: str, tags: Mapping[str, str] | None = None, image: str | None = None, run_id: str | None = None
    ) -> str:
        """Launch a run, from another image than the house's if one is given: its id, drawn unless it is given."""
        pointer = FileCodePointer("workflows/definitions.py", "defs", "/app")
        repository = RepositoryOrigin("/opt/runplane/bin/python", pointer, image or self._image, ("runplane",))
        request = RunRequest(job, JobOrigin(job, repository), self.plan(job), tags=tags or {}, run_id=run_id)
        return self.instance.submit(request).run_id

    def plan(self, job: str) -> PlanSnapshot:
        """The plan of a job of ours."""
        if job not in self._plans:
            target = CodeTarget(python_file=str(self.folder / "definitions.py"))
            with SubprocessCodeSource(CodeRequest(target=target)) as source:
                plan = source.snapshot(job)
            assert isinstance(plan, PlanSnapshot), plan
            self._plans[job] = plan
        return self._plans[job]

    @contextlib.contextmanager
    def daemon(self, lease_s: float = 30) -> Iterator[None]:
        """A daemon of the instance on this machine, as long as this lasts. Its rights in the cluster are those that the docs give to it.

        Args:
            lease_s: how long a worker is not heard of before it is given up.
        """
        with (self.folder / "daemon.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "runplane", "daemon", "run"],
                cwd=self.folder,
                env={**os.environ, **self._own_env(), LEASE_TTL_ENV: f"{lease_s:g}"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)

    # Looking ---------------------------------------------------------------------------------------------------------------------

    def jobs(self) -> list[dict[str, Any]]:
        """The Jobs of the namespace."""
        return list(self.cluster.get("jobs", "-n", self.namespace))

    def pods(self) -> list[dict[str, Any]]:
        """The pods of the namespace."""
        return list(self.cluster.get("pods", "-n", self.namespace))

    def job_of_step(self, step: str) -> str:
        """The Job of a step's newest attempt, its name."""
        of_step = [j["metadata"] for j in self.jobs() if step_of(j) == step]
        return str(max(of_step, key=lambda m: m["creationTimestamp"])["name"])

    def pod_of(self, job: str) -> dict[str, Any]:
        """The pod of a Job."""
        return next(p for p in self.pods() if p["metadata"]["labels"]["job-name"] == job)

    def container_of(self, pod: str) -> str:
        """The id of the container of a pod of this name, once the node has told it: a body may begin before."""
        told: list[str] = []

        def is_told() -> bool:
            status = self.cluster.get("pod", "-n", self.namespace, pod)["status"]
            told.extend(one["containerID"] for one in status.get("containerStatuses", ()) if "containerID" in one)
            return bool(told)

        self.wait_for(f"the container of {pod}", is_told)
        return told[0].partition("//")[2]

    def has_pod(self, job: str) -> bool:
        """Whether a pod of a Job is there."""
        return any(p["metadata"]["labels"]["job-name"] == job for p in self.pods())

    def has_said(self, run_id: str, what: str, step: str) -> bool:
        """Whether a body of a run has said something ("start", "end")."""
        return any((s["run"], s["what"], s["step"]) == (run_id, what, step) for s in self.watcher.said)

    def started(self, step: str, times: int = 1, run_id: str | None = None) -> bool:
        """Whether the body of a step has begun so often; of one run, or of all."""
        begun = [s for s in self.watcher.said if s["what"] == "start" and s["step"] == step]
        return sum(run_id in (None, s["run"]) for s in begun) >= times

    def unfinished_jobs(self, run_id: str) -> list[str]:
        """Jobs of a run that are not over."""
        of_run = [j for j in self.jobs() if j["metadata"]["labels"].get("dagster/run-id") == run_id]
        ended = {"Complete", "Failed"}
        return [
            job["metadata"]["name"]
            for job in of_run
            if ended.isdisjoint(c["type"] for c in job["status"].get("conditions", ()))
        ]

    def live_pods(self, run_id: str) -> list[str]:
        """Pods of a run that have not ended."""
        of_run = [p for p in self.pods() if p["metadata"]["labels"].get("dagster/run-id") == run_id]
        return [p["metadata"]["name"] for p in of_run if p["status"]["phase"] in ("Pending", "Running")]

    def status(self, run_id: str) -> RunStatus:
        """Where the run stands."""
        return self.instance.journal.head(run_id).status

    def events(self, run_id: str) -> list[Event]:
        """All its events."""
        return self.instance.tail(run_id, 0, 100_000)

    def wait_for(self, what: str, is_there: Callable[[], object], timeout_s: float = PATIENCE_S) -> None:
        """Wait for a named moment."""
        end = time.monotonic() + timeout_s
        while not is_there():
            assert time.monotonic() < end, f"{what} did not come within {timeout_s} s\n{self.story()}"
            time.sleep(0.1)

    def wait_for_end(self, run_id: str, timeout_s: float = PATIENCE_S) -> RunStatus:
        """Wait until the run is over: how."""
        self.wait_for(f"the end of run {run_id}", lambda: self.status(run_id).is_final, timeout_s)
        return self.status(run_id)

    def check(self, run_id: str) -> list[Event]:
        """No gap, one end and no fact after it, one outcome for each attempt, no body that started twice under one attempt or after its
        step's success."""
        events = self.events(run_id)
        check_events(events)
        assert sum(e.kind in ENDS for e in events) == 1
        check_no_success_ran_again(events, [{**s, "n": int(s["n"])} for s in self.watcher.said if s["run"] == run_id])
        return events

    def story(self) -> str:
        """What happened, for a test that fails."""
        told = [
            f"{e.kind} {e.step} {e.n} {e.body}"
            for run in self.instance.runs.page(RunFilter(), limit=10).runs
            for e in self.events(run.run_id)
        ]
        objects = self.cluster.kubectl("get", "job,pod,event", "-n", self.namespace)
        logs = self.cluster.kubectl(
            "logs", "-n", self.namespace, "-l", "app.kubernetes.io/name", "--prefix", "--tail=20", "--ignore-errors"
        )
        return "\n".join([*told, objects, logs, json.dumps(self.watcher.said)])

    def close(self) -> None:
        """Let bodies end, and leave."""
        self.watcher.let_go()
        self.instance.close()
        self.watcher.close()
        self.cluster.kubectl("delete", "persistentvolume", self.namespace, "--wait=false", "--ignore-not-found")

    def _admit(self) -> None:
        """What the documents name: the password, and a service account with the role that the docs give to run pods."""
        metadata = {"namespace": self.namespace}
        password = {"metadata": {**metadata, "name": SECRET}, "stringData": {"postgresql-password": PASSWORD}}
        accounts = {ACCOUNT: "run-worker", LAUNCHER: "launcher", POWERLESS: None}
        self.cluster.apply(
            {"apiVersion": "v1", "kind": "Secret", **password},
            *(o for account, role in accounts.items() for o in account_with(self.namespace, account, role)),
        )

    def _own_env(self) -> dict[str, str]:
        return {"DAGSTER_HOME": str(self.folder), "KUBECONFIG": str(self.kubeconfig)}

    def kubeconfig_of(self, account: str) -> Path:
        """A way into the cluster with the rights of a service account."""
        config = yaml.safe_load(self.cluster.kubeconfig.read_text())
        token = self.cluster.kubectl("create", "token", account, "-n", self.namespace, "--duration=2h")
        config["users"] = [{"name": account, "user": {"token": token.strip()}}]
        for context in config["contexts"]:
            context["context"]["user"] = account
        file = self.folder / f"{account}.kubeconfig"
        file.write_text(json.dumps(config))
        return file

    def _share(self) -> dict[str, Any]:
        """Outputs and logs are files, on a volume that all pods share: at the same path as on this machine."""
        self.shared.mkdir()
        self.shared.chmod(0o777)
        volume = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
        size = {"storage": "1Gi"}
        self.cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": self.namespace},
                "spec": {**volume, "capacity": size, "hostPath": {"path": str(self.shared)}},
            },
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": "shared", "namespace": self.namespace},
                "spec": {**volume, "resources": {"requests": size}, "volumeName": self.namespace},
            },
        )
        return {
            "volumes": [{"name": "shared", "persistentVolumeClaim": {"claimName": "shared"}}],
            "volume_mounts": [{"name": "shared", "mountPath": str(self.shared)}],
        }


MakeHouse = Callable[..., House]


def account_with(namespace: str, account: str, role: str | None) -> Iterator[dict[str, Any]]:
    """A service account with exactly the rules of one of the roles that the docs give, or without any."""
    named = {"metadata": {"namespace": namespace, "name": account}}
    yield {"apiVersion": "v1", "kind": "ServiceAccount", **named}
    if role is None:
        return
    documents = yaml.safe_load_all((EXAMPLE / "roles.yaml").read_text())
    (rules,) = (d["rules"] for d in documents if (d["kind"], d["metadata"]["name"]) == ("Role", role))
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1", **named}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account}
    yield {**rbac, "kind": "Role", "rules": rules}
    subjects = [{"kind": "ServiceAccount", "name": account}]
    yield {**rbac, "kind": "RoleBinding", "roleRef": reference, "subjects": subjects}


def step_of(job: Mapping[str, Any]) -> str | None:
    """The step that a Job is of."""
    found: str | None = job["metadata"].get("annotations", {}).get("runplane/step-key")
    return found
