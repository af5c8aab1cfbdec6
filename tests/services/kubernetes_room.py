"""Whole runs on a cluster in memory: run workers and steps are pods, pods are processes of this machine, daemons are real.

What a test wants of the cluster it does to `cluster`; what it wants of a pod's process to `pods`. Bodies write a line when they start and
one when they end, and wait as long as the test holds their run.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from runplane.definitions.code_loading import load_job
from runplane.engine.snapshot import PlanSnapshot
from runplane.events.event import Event
from runplane.events.kinds import Category, EventKind, category_of
from runplane.events.origin import FileCodePointer, JobOrigin, RepositoryOrigin
from runplane.events.status import RunStatus
from runplane.instance.instance import DAEMON_TTL_ENV, LEASE_TTL_ENV, Instance, RunRequest
from runplane.plan.compile import compile_plan
from runplane.testing.crashing import CRASH_AT_ENV
from runplane.testing.fake_cluster import FakeCluster, FakePod, ProcessPods
from runplane.testing.tier_a import check_events, check_no_success_ran_again
from services import other_versions

ROOM_ENV = "ROOM"
GRACE_S = 2
PATIENCE_S = 90.0
NS = "default"
STEPS = ("first", "left", "right", "last")
WORKFLOWS = """
import json, os, time
from runplane import Definitions, job, k8s_job_executor, multiprocess_executor, op

ROOM = os.environ.get("ROOM", "")

def say(context, what):
    said = {"step": context.step_key, "n": context.attempt, "what": what, "run": context.run_id, "at": time.time()}
    fd = os.open(f"{ROOM}/bodies.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(fd, (json.dumps({**said, "pid": os.getpid()}) + "\\n").encode())
    os.close(fd)

def body(context):
    say(context, "start")
    end = time.monotonic() + 120
    while os.path.exists(f"{ROOM}/hold-{context.run_id}-{context.step_key}") and time.monotonic() < end:
        time.sleep(0.02)
    say(context, "end")

@op
def first(context):
    body(context)
    return 1

@op
def left(context, number):
    body(context)
    return number

@op
def right(context, number):
    body(context)
    return number

@op
def last(context, one, other):
    body(context)
    return one + other

def diamond():
    number = first()
    last(left(number), right(number))

multiprocess = job(name="multiprocess", executor_def=multiprocess_executor)(diamond)
k8s = job(name="k8s", executor_def=k8s_job_executor.configured({"job_image": "room"}))(diamond)
defs = Definitions(jobs=[multiprocess, k8s])
"""


class RoomPods(ProcessPods):
    """Processes, with what a test wants to happen to them.

    Attributes:
        crash_at: run -> the numbered database calls at which its first, second, ... worker dies.
        levels: step (None: the run's worker) -> the protocol level that its image speaks, if not ours.
        reasons: pod's uid -> the reason that its end is told with (``OOMKilled``).
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        super().__init__(environment)
        self.crash_at: dict[str, Sequence[int]] = {}
        self.reasons: dict[str, str] = {}
        self.levels: dict[str | None, str] = {}
        self._lost: set[str] = set()

    def environment_of(self, pod: FakePod) -> dict[str, str]:
        env = super().environment_of(pod)
        run_id = pod.labels["dagster/run-id"]
        _, is_worker, resumed = pod.labels["job-name"].partition(f"dagster-run-{run_id}")
        points = self.crash_at.get(run_id, ()) if is_worker else ()
        worker = int(resumed[1:] or 0)
        return {**env, **({CRASH_AT_ENV: str(points[worker])} if worker < len(points) else {})}

    def program_of(self, pod: FakePod) -> list[str]:
        level = self.levels.get(pod.annotations.get("runplane/step-key"))
        return super().program_of(pod) if level is None else other_versions.command(level)

    def kill(self, pod: FakePod, reason: str = "") -> None:
        """SIGKILL the pod's first process, behind the cluster's back."""
        self.reasons[pod.uid] = reason
        self._processes[pod.uid].kill()

    def lose_node(self, *pods: FakePod) -> None:
        """The node of these pods is gone, and they with it."""
        self._lost |= {pod.uid for pod in pods}
        for pod in pods:
            self._processes[pod.uid].kill()

    def ended(self, pod: FakePod, code: int) -> None:
        if pod.uid in self._lost:
            pod.failed("NodeLost", "node node-1 is not there any more", "DeletionByPodGC")
        else:
            pod.exited(code, self.reasons.get(pod.uid, ""))


class KubernetesRoom:
    """See the module.

    Args:
        folder: empty.
        database: what ``CrashingDatabase`` takes.
        monitoring: of the instance.
        launcher: more of the launcher's config.
        config: more of the dagster.yaml.
    """

    def __init__(
        self,
        folder: Path,
        database: Mapping[str, str],
        monitoring: Mapping[str, Any],
        launcher: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder, self.home = folder, folder / "home"
        self.home.mkdir()
        self.env = {ROOM_ENV: str(folder), LEASE_TTL_ENV: "6"}
        self.pods = RoomPods(self.env)
        self.cluster = FakeCluster(lambda pod: self.pods).start()
        self.env["KUBECONFIG"] = str(self.cluster.kubeconfig(folder))
        self.pods.add(self.env)
        (folder / "definitions.py").write_text(WORKFLOWS)
        (folder / "bodies.jsonl").touch()
        document = {
            "storage": {
                "custom": {
                    "module": "runplane.testing.crashing",
                    "class": "CrashingDatabase",
                    "config": dict(database),
                }
            },
            "run_launcher": {
                "module": "dagster_k8s",
                "class": "K8sRunLauncher",
                "config": {
                    "job_image": "room",
                    "dagster_home": str(self.home),
                    "kubeconfig_file": self.env["KUBECONFIG"],
                    "run_k8s_config": {"pod_spec_config": {"terminationGracePeriodSeconds": GRACE_S}},
                    **(launcher or {}),
                },
            },
            "run_monitoring": {"enabled": True, "poll_interval_seconds": 1, **monitoring},
            **(config or {}),
        }
        (self.home / "dagster.yaml").write_text(json.dumps(document), encoding="utf-8")
        self.instance = Instance.from_home(self.home)
        self._daemons: list[subprocess.Popen[bytes]] = []
        self._plans: dict[str, tuple[PlanSnapshot, JobOrigin]] = {}

    # Runs -------------------------------------------------------------------------------------------------------------------

    def create(self, job: str, hold: Sequence[str] = (), tags: Mapping[str, str] | None = None) -> str:
        """A run that is not launched yet. Bodies of the steps in `hold` wait."""
        if job not in self._plans:
            pointer = FileCodePointer(str(self.folder / "definitions.py"), job, str(self.folder))
            origin = JobOrigin(job, RepositoryOrigin(sys.executable, pointer))
            self._plans[job] = compile_plan(load_job(pointer, job), {}), origin
        plan, origin = self._plans[job]
        run_id = self.instance.create(RunRequest(job, origin, plan, tags=tags or {})).run_id
        for step in hold:
            self._hold(run_id, step).touch()
        return run_id

    def launch(self, run_id: str) -> None:
        """Launch it, from this process."""
        self.instance.coordinator.submit(self.instance.runs.get(run_id))

    def submit(self, job: str, hold: Sequence[str] = (), tags: Mapping[str, str] | None = None) -> str:
        """A run, launched: its id."""
        run_id = self.create(job, hold, tags)
        self.launch(run_id)
        return run_id

    def let_go(self, run_id: str) -> None:
        """Its bodies wait no longer."""
        for step in STEPS:
            self._hold(run_id, step).unlink(missing_ok=True)

    def daemon(self) -> subprocess.Popen[bytes]:
        """Start a daemon."""
        with (self.folder / "daemon.log").open("ab") as log:
            started = subprocess.Popen(
                [sys.executable, "-m", "runplane", "daemon", "run"],
                env={**os.environ, **self.env, "DAGSTER_HOME": str(self.home), DAEMON_TTL_ENV: "3"},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._daemons.append(started)
        return started

    # Looking ----------------------------------------------------------------------------------------------------------------

    def status(self, run_id: str) -> RunStatus:
        return self.instance.journal.head(run_id).status

    def events(self, run_id: str) -> list[Event]:
        return self.instance.tail(run_id, 0, 100_000)

    def bodies(self, run_id: str) -> list[dict[str, Any]]:
        """What the bodies of this run wrote, in order."""
        lines = (self.folder / "bodies.jsonl").read_text(encoding="utf-8").splitlines()
        return [b for b in map(json.loads, lines) if b["run"] == run_id]

    def started(self, run_id: str, *steps: str, n: int = 1) -> bool:
        """Whether the bodies of these steps have begun under that attempt."""
        begun = {(b["step"], b["n"]) for b in self.bodies(run_id) if b["what"] == "start"}
        return {(step, n) for step in steps} <= begun

    def run_pod(self, run_id: str, resume: int = 0) -> FakePod:
        """The pod of the run's worker."""
        return self.cluster.pod_of(f"dagster-run-{run_id}" + (f"-{resume}" if resume else ""))

    def step_pod(self, run_id: str, step: str) -> FakePod:
        """The newest pod of a step."""
        found = [p for p in self.pods_of(run_id) if p["metadata"]["annotations"].get("runplane/step-key") == step]
        return self.cluster.pod_of(max(found, key=lambda p: int(p["metadata"]["resourceVersion"]))["metadata"]["name"])

    def pods_of(self, run_id: str) -> list[dict[str, Any]]:
        """All pods of a run."""
        return [p for p in self.cluster.all_pods() if p["metadata"]["labels"].get("dagster/run-id") == run_id]

    def live(self, run_id: str) -> list[str]:
        """Pods of the run that have not ended."""
        return [
            p["metadata"]["name"] for p in self.pods_of(run_id) if p["status"]["phase"] not in ("Succeeded", "Failed")
        ]

    def live_jobs(self, run_id: str) -> list[str]:
        """Jobs of the run that are not over."""
        of_run = [j for j in self.cluster.all_jobs() if j["metadata"]["labels"].get("dagster/run-id") == run_id]
        return [j["metadata"]["name"] for j in of_run if not _is_over(j)]

    def wait_for(self, what: str, is_there: Callable[[], object], timeout_s: float = PATIENCE_S) -> None:
        """Wait for a named moment."""
        end = time.monotonic() + timeout_s
        while not is_there():
            assert time.monotonic() < end, f"{what} did not come within {timeout_s} s\n{self.story()}"
            time.sleep(0.02)

    def wait_for_end(self, *run_ids: str) -> list[RunStatus]:
        """Wait until these runs are over: how."""
        self.wait_for("the end of all runs", lambda: all(self.status(r).is_final for r in run_ids))
        return [self.status(r) for r in run_ids]

    def wait_for_no_pod(self, run_id: str, seconds: float) -> None:
        """Nothing of the run is left that has not ended."""
        self.wait_for("the end of all pods", lambda: not self.live(run_id) and not self.live_jobs(run_id), seconds)

    def check(self, run_id: str) -> list[Event]:
        """No gap, one end and no fact after it, nothing twice."""
        events = self.events(run_id)
        check_events(events)
        check_no_success_ran_again(events, self.bodies(run_id))
        ends = [e.seq for e in events if e.kind in _ENDS]
        late = [e for e in events if ends and e.seq > ends[0] and category_of(e.kind) is not Category.ANNOTATION]
        assert late == [], "facts after the end"
        return events

    def story(self) -> str:
        """What happened, for a test that fails."""
        pods = [f"{p['metadata']['name']} {p['status']}" for p in self.cluster.all_pods()]
        logs = [path.read_text(errors="replace")[-3000:] for path in self.folder.glob("daemon.log")]
        told = []
        for path in (self.folder / "bodies.jsonl",):
            told.append(path.read_text(errors="replace")[-3000:])
        ids = dict.fromkeys(p["metadata"]["labels"]["dagster/run-id"] for p in self.cluster.all_pods())
        for run_id in list(ids)[:4]:
            told += [f"{run_id[:8]} {e.seq} {e.kind} {e.step} {e.n} {e.body}" for e in self.events(run_id)]
        return "\n".join([*pods, *logs, *told])

    def close(self) -> None:
        """End what is left."""
        for daemon in self._daemons:
            daemon.send_signal(signal.SIGCONT)
            daemon.kill()
            daemon.wait()
        self.instance.close()
        self.cluster.close()
        self.pods.close()
        assert self.cluster.errors == []

    def _hold(self, run_id: str, step: str) -> Path:
        return self.folder / f"hold-{run_id}-{step}"


MakeRoom = Callable[..., KubernetesRoom]
_ENDS = frozenset({EventKind.RUN_SUCCESS, EventKind.RUN_FAILURE, EventKind.RUN_CANCELED})


def _is_over(job: Mapping[str, Any]) -> bool:
    return any(c["type"] in ("Complete", "Failed") for c in job.get("status", {}).get("conditions") or ())


def causes(events: Sequence[Event]) -> dict[str, list[str]]:
    """Step -> why its attempts were lost or failed, in their order."""
    found: dict[str, list[str]] = {}
    for event in events:
        if event.step and event.kind == EventKind.STEP_SEALED:
            found.setdefault(event.step, []).append(str(event.body["cause"]))
    return found
