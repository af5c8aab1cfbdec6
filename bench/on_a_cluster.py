"""Whole runs beside Dagster on a real Kubernetes cluster, and ``docs/benchmarks-on-kubernetes.md`` of it.

    python bench/on_a_cluster.py [--page docs/benchmarks-on-kubernetes.md] [--turns 3 2] [job ...]

The same jobs, each side's image made on the same base, the same launcher's configuration. The cluster is the tests' (``tests/cluster``);
a page of its own, since what it measures is a node's two cores as much as either side.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from comparison import DAGSTER_ENV, PROGRAMS, Bench, Figure, ProgramError, Row, Side, line
from databases import Databases
from report import LOAD, dagster_version, machine, summary, table

import runplane
from runplane.definitions.code_loading import load_job
from runplane.events.origin import FileCodePointer, JobOrigin, RepositoryOrigin
from runplane.instance.instance import Instance, RunRequest
from runplane.plan.compile import compile_plan

from cluster import sources  # isort: skip - beside the tests, as ``databases`` finds them
from cluster.clusters import Cluster  # isort: skip
from cluster.sandbox import cgroup_hierarchies  # isort: skip
from cluster.settings import Settings  # isort: skip
from services import docker_daemon, images  # isort: skip
from services.postgres import PASSWORD, psycopg  # isort: skip

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks-on-kubernetes.md"
SECRET, ACCOUNT, CONFIG_MAP = "dagster-postgresql-secret", "bench", "dagster-instance"
HOME = "/opt/dagster/dagster_home"
LONGEST_S = 600
SERVICE = ("besteffort", "burstable")
HEAD = """\
# Benchmarks on Kubernetes

Written by `python bench/on_a_cluster.py` ({when}): runplane {ours} beside Dagster {theirs} on a real Kubernetes {kubernetes}, one node on one machine, the two taking turns.
Medians of {turns}. The same jobs, images on the same base and present on the node, the same launcher's configuration, Postgres outside the cluster.
The ratio says how many times better runplane is. Pods share the machine's cores with everything else that runs there, so absolute figures hold
for this machine and this day. Where the load is far above the number of cores, seconds of a run say little; CPU and connections say more.

| | |
|---|---|
| machine | {machine} |
| load when it began | {load} |
| took | {minutes:.1f} minutes |

"From created to its end" is the run's own record. Times of steps are those of its log: `STEP_WORKER_STARTING` is written before a step's
Job or process is made, `STEP_START` before its code runs. CPU is that of all the run's pods, from start to exit, by the node's control groups.

"""


def main() -> int:
    """0, or 1 when a figure of ours could not be had."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jobs", nargs="*", choices=[[], *JOBS], default=[], help="which; none: all")
    parser.add_argument("--turns", type=int, nargs=2, default=(3, 2), help="how often runplane's runs, and Dagster's")
    parser.add_argument("--page", type=Path, help="where to write the page")
    given = parser.parse_args()
    began, answers = time.monotonic(), []
    target = given.page or (None if given.jobs else PAGE)
    os.environ["DOCKER_HOST"] = docker_daemon.up() or os.environ.get("DOCKER_HOST", "")
    os.environ["BENCH_PACKAGE"] = "runplane"
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="runplane-bench-")))
        bench = Bench(folder, stack.enter_context(Databases()), began + 3600)
        if len(bench.sides) == 1:
            print(f"{DAGSTER_ENV} is not set: runplane is measured alone", flush=True)
        cluster = stack.enter_context(sources.cluster())
        os.environ["KUBECONFIG"] = str(cluster.kubeconfig)
        places = {s: stack.enter_context(place(s, cluster, bench, folder)) for s in bench.sides}
        for job in given.jobs or JOBS:
            found = []
            for row in rows(job, bench, places, tuple(given.turns)):
                print(f"{time.monotonic() - began:6.0f} s  {line(row)}", flush=True)
                found.append(row)
            answers.append((JOBS[job].title, found))
            if target is not None:  # after each job: what was measured is kept, whatever becomes of the next
                target.write_text(page(answers, bench, cluster, given.turns, time.monotonic() - began))
                print(f"written: {target}", flush=True)
    return int(any(row.ours is None for _, found in answers for row in found))


# ------------------------------------------------------------------------------------------------------ what is asked


@dataclass(frozen=True)
class Asked:
    """One job.

    Attributes:
        title: for people.
        steps: how many it has.
        is_chain: one step after the other.
        times: how many times sooner our run is to end.
    """

    title: str
    steps: int
    is_chain: bool
    times: float


JOBS = {
    "chain_k8s": Asked("Six steps one after the other, each a Job", 6, True, 3.5),
    "wide_k8s": Asked("One step and ten side by side, each a Job", 11, False, 2.5),
    "chain_multiprocess": Asked("Six steps one after the other, in the run's pod", 6, True, 10),
    "wide_multiprocess": Asked("One step and ten side by side, in the run's pod", 11, False, 10),
}


def rows(job: str, bench: Bench, places: Mapping[Side, Place], turns: tuple[int, int]) -> Iterator[Row]:
    """The figures of one job."""
    asked = JOBS[job]
    are_jobs = job.endswith("k8s")
    figures = [Figure("run_s", f"{job}: from created to its end", "s", times=asked.times)]
    figures += [Figure("first_s", "from created to the start of the first step's code", "s")]
    figures += [Figure("start_s", "from a step's order to the start of its code: median", "s")]
    if asked.is_chain:
        figures += [
            Figure("gap_s", "from a step's success to the order of the next: median", "s"),
            Figure("gap_most_s", "from a step's success to the order of the next: the longest", "s"),
        ]
    figures += [
        Figure("cpu_s", "CPU of all its pods, per step", "s"),
        Figure("connections", "connections to the database that its pods open", ""),
        Figure("run_job_b", "the run's Job, as it is stored without what the cluster adds", "B"),
    ]
    if are_jobs:
        figures += [Figure("step_job_b", "a step's Job", "B")]
    yield from bench.rows(figures, lambda side, _turn: places[side].measure(job, asked.steps), turns)


# ------------------------------------------------------------------------------------------------------ where it runs


class Place:
    """One side's namespace, database and home.

    Args:
        cluster: where.
        namespace: its own.
        image: with the jobs.
        home: with its dagster.yaml, for whoever launches.
        url: of its database, as this process reaches it.
    """

    def __init__(self, cluster: Cluster, namespace: str, image: str, home: Path, url: str) -> None:
        self.cluster, self.namespace, self.image, self.home, self.url = cluster, namespace, image, home, url

    def launch(self, job: str) -> str:
        """Create a run and launch it: its id."""
        raise NotImplementedError

    def story(self, run_id: str) -> Mapping[str, Any]:
        """``status``, ``created``, ``ended`` and ``events``: kind, step, time."""
        raise NotImplementedError

    def measure(self, job: str, steps: int) -> Mapping[str, float]:
        """One run, from its creation until no pod of it is left."""
        used = Cpu()
        with psycopg.connect(self.url, autocommit=True) as connection:
            run_id = self.launch(job)
            before = _sessions(connection)
            with used:
                self._until_over(run_id)
            after = _sessions(connection)
        story = self.story(run_id)
        if story["status"] != "SUCCESS":
            raise ProgramError(f"{job} ended as {story['status']}: {story.get('why')}")
        selector = ("-n", self.namespace, "-l", f"dagster/run-id={run_id}")
        jobs = self.cluster.get("jobs", *selector)
        pods = [pod["metadata"]["uid"] for pod in self.cluster.get("pods", *selector)]
        sizes: dict[str, list[int]] = {"run_worker": [], "step_worker": []}
        for one in jobs:
            sizes[one["metadata"]["labels"]["app.kubernetes.io/component"]].append(_size(one))
        return {
            **_times(story),
            **({"cpu_s": used.of(pods) / steps} if used.is_known else {}),
            "connections": after - before,
            "run_job_b": statistics.median(sizes["run_worker"]),
            **({"step_job_b": statistics.median(sizes["step_worker"])} if sizes["step_worker"] else {}),
        }

    def _until_over(self, run_id: str) -> None:
        """The run's own Job is complete a while after the run: its pod has to be gone from the processor."""
        selector = ("-n", self.namespace, "-l", f"dagster/run-id={run_id}")
        end = time.monotonic() + LONGEST_S
        while time.monotonic() < end:
            phases = [pod["status"]["phase"] for pod in self.cluster.get("pods", *selector)]
            jobs = self.cluster.get("jobs", *selector)
            if phases and set(phases) <= {"Succeeded", "Failed"} and all("conditions" in j["status"] for j in jobs):
                return
            time.sleep(0.5)
        raise ProgramError(f"the run was not over after {LONGEST_S} s")


class OurPlace(Place):
    """Of runplane."""

    def launch(self, job: str) -> str:
        """See ``Place``."""
        pointer = FileCodePointer("/bench/jobs.py", job, "/bench")
        origin = JobOrigin(job, RepositoryOrigin("/opt/runplane/bin/python", pointer, self.image, ("runplane",)))
        plan = compile_plan(load_job(FileCodePointer(str(PROGRAMS / "cluster_jobs.py"), job), job), {})
        with Instance.from_home(self.home) as instance:
            return instance.submit(RunRequest(job, origin, plan)).run_id

    def story(self, run_id: str) -> Mapping[str, Any]:
        """See ``Place``."""
        with Instance.from_home(self.home) as instance:
            run = instance.runs.get(run_id)
            events = [(str(e.kind), e.step, e.at) for e in instance.tail(run_id, 0, 100_000)]
        return {"status": run.status.value, "created": run.created_at, "ended": run.ended_at, "events": events}


class DagstersPlace(Place):
    """Of Dagster.

    Args:
        side: its Python.
        bench: runs programs by it.
    """

    def __init__(self, *of_place: Any, side: Side, bench: Bench) -> None:
        super().__init__(*of_place)
        self._run = lambda *words: bench.run(side, *words, home=self.home, DAGSTER_PG_PASSWORD=PASSWORD).figures()

    def launch(self, job: str) -> str:
        """See ``Place``."""
        return str(self._run("dagster_launches.py", job, self.image)["run_id"])

    def story(self, run_id: str) -> Mapping[str, Any]:
        """See ``Place``."""
        return self._run("dagster_tells.py", run_id)


@contextlib.contextmanager
def place(side: Side, cluster: Cluster, bench: Bench, folder: Path) -> Iterator[Place]:
    """A side's place, as long as this lasts."""
    os.environ["DAGSTER_PG_PASSWORD"] = PASSWORD
    image = _image(side, folder)
    cluster.load(image)
    namespace, url = cluster.make_namespace({}), bench.databases.make()
    try:
        home = folder / f"home-{side.package}"
        home.mkdir()
        document = _document(cluster, namespace, image, url)
        (home / "dagster.yaml").write_text(yaml.safe_dump(document))
        _furnish(cluster, namespace, document)
        given = (cluster, namespace, image, home, url)
        yield OurPlace(*given) if side.is_ours else DagstersPlace(*given, side=side, bench=bench)
    finally:
        cluster.drop_namespace(namespace)


def _image(side: Side, folder: Path) -> str:
    """The side's image with the jobs, on the base that the tests use."""
    _, base = images.bases()
    context = folder / f"image-{side.package}"
    context.mkdir()
    (context / "jobs.py").write_text((PROGRAMS / "cluster_jobs.py").read_text())
    if side.is_ours:
        images.build("runplane-bench-base", images.ROOT, base=base, dockerfile=images.ROOT / "deploy" / "Dockerfile")
        base = "runplane-bench-base"
    else:
        frozen = [side.python, "-m", "pip", "freeze"]
        text = subprocess.run(frozen, check=True, stdout=subprocess.PIPE, text=True).stdout
        (context / "requirements.txt").write_text(text)
    name = f"runplane-bench-{side.package}"
    file = Path(__file__).resolve().parent / "images" / f"{side.package}.Dockerfile"
    images.build(name, context, base=base, dockerfile=file)
    return f"{name}:latest"


def _document(cluster: Cluster, namespace: str, image: str, url: str) -> dict[str, Any]:
    """The dagster.yaml of both sides."""
    at = urlsplit(url)
    postgres = {
        "username": "postgres",
        "password": {"env": "DAGSTER_PG_PASSWORD"},
        "hostname": cluster.host,
        "db_name": at.path.lstrip("/"),
        "port": cluster.reachable(at.port or 5432),
    }
    launcher = {
        "job_namespace": namespace,
        "job_image": image,
        "image_pull_policy": "IfNotPresent",
        "service_account_name": ACCOUNT,
        "dagster_home": HOME,
        "instance_config_map": CONFIG_MAP,
        "postgres_password_secret": SECRET,
    }
    return {
        "telemetry": {"enabled": False},
        "storage": {"postgres": {"postgres_db": postgres}},
        "run_launcher": {"module": "dagster_k8s", "class": "K8sRunLauncher", "config": launcher},
    }


def _furnish(cluster: Cluster, namespace: str, document: Mapping[str, Any]) -> None:
    """What the documents name."""
    here = {"namespace": namespace}
    named = {"metadata": {**here, "name": ACCOUNT}}
    rbac = "rbac.authorization.k8s.io"
    rules = [{"apiGroups": ["", "batch", "apps"], "resources": ["*"], "verbs": ["*"]}]
    reference = {"apiGroup": rbac, "kind": "Role", "name": ACCOUNT}
    subjects = [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": namespace}]
    password, text = {"postgresql-password": PASSWORD}, {"dagster.yaml": yaml.safe_dump(dict(document))}
    cluster.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", **named},
        {"apiVersion": f"{rbac}/v1", "kind": "Role", **named, "rules": rules},
        {"apiVersion": f"{rbac}/v1", "kind": "RoleBinding", **named, "roleRef": reference, "subjects": subjects},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {**here, "name": SECRET}, "stringData": password},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**here, "name": CONFIG_MAP}, "data": text},
    )


# ------------------------------------------------------------------------------------------------------ what is measured


def _times(story: Mapping[str, Any]) -> dict[str, float]:
    events: Sequence[tuple[str, str, float]] = story["events"]
    of = lambda kind: {step: at for what, step, at in events if what == kind}
    ordered, began, succeeded = of("STEP_WORKER_STARTING"), of("STEP_START"), of("STEP_SUCCESS")
    starts = [began[step] - at for step, at in ordered.items() if step in began]
    ends, orders = sorted(succeeded.values()), sorted(ordered.values())
    gaps = [max(0.0, order - end) for end, order in zip(ends, orders[1:], strict=False)]
    return {
        "run_s": story["ended"] - story["created"],
        "first_s": min(began.values()) - story["created"],
        **({"start_s": statistics.median(starts)} if starts else {}),
        **({"gap_s": statistics.median(gaps), "gap_most_s": max(gaps)} if gaps else {}),
    }


def _sessions(connection: Any) -> int:
    """How many connections this database has ever had."""
    asked = "SELECT sessions FROM pg_stat_database WHERE datname = current_database()"
    return int(connection.execute(asked).fetchone()[0])


def _size(job: Mapping[str, Any]) -> int:
    """Bytes of a Job as whoever creates it sends it, more or less."""
    metadata = {
        key: value for key, value in job["metadata"].items() if key in ("name", "namespace", "labels", "annotations")
    }
    return len(json.dumps({"metadata": metadata, "spec": job["spec"]}, separators=(",", ":")))


class Cpu:
    """Seconds of CPU of pods, read again and again while this lasts: a pod's control group goes when the pod has ended."""

    def __init__(self) -> None:
        parents = [hierarchy / Settings.from_environment().cgroup for hierarchy in cgroup_hierarchies()]
        self._found: dict[str, float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read_on, daemon=True)
        self._read: Callable[[Path], float] = _usage_1
        self._parent = next((p for p in parents if (p / "cpuacct.usage").exists()), None)
        if self._parent is None:
            self._read = _usage_2
            self._parent = next((p for p in parents if (p / "cpu.stat").exists()), None)

    @property
    def is_known(self) -> bool:
        """False where the node is not ours."""
        return self._parent is not None

    def __enter__(self) -> Cpu:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._thread.join()

    def of(self, pods: Sequence[str]) -> float:
        """Of pods, by their uid."""
        return sum(self._found.get(uid, 0.0) for uid in pods)

    def _read_on(self) -> None:
        while self._parent is not None and not self._over.wait(0.1):
            # Pods of each class of service have a folder; any of these may go while it is read.
            for parent in (self._parent / "kubepods", *(self._parent / "kubepods" / of for of in SERVICE)):
                with contextlib.suppress(OSError):
                    for name in os.listdir(parent):
                        self._note(parent / name)

    def _note(self, folder: Path) -> None:
        if folder.name.startswith("pod"):
            with contextlib.suppress(OSError, ValueError):
                self._found[folder.name.removeprefix("pod")] = self._read(folder)


def _usage_1(folder: Path) -> float:
    return int((folder / "cpuacct.usage").read_text()) / 1e9


def _usage_2(folder: Path) -> float:
    words = dict(one.split() for one in (folder / "cpu.stat").read_text().splitlines())
    return int(words["usage_usec"]) / 1e6


# ------------------------------------------------------------------------------------------------------ the page


def page(
    answers: Sequence[tuple[str, Sequence[Row]]], bench: Bench, cluster: Cluster, turns: Sequence[int], took_s: float
) -> str:
    """The page as Markdown."""
    theirs, _ = dagster_version(bench.sides)
    kubernetes = json.loads(cluster.kubectl("version", "-o", "json"))["serverVersion"]["gitVersion"]
    head = HEAD.format(
        when=time.strftime("%Y-%m-%d", time.gmtime()),
        ours=runplane.__version__,
        theirs=theirs,
        kubernetes=kubernetes.removeprefix("v"),
        turns=f"{turns[0]} and {turns[1]} runs",
        machine=machine(),
        load=LOAD,
        minutes=took_s / 60,
    )
    parts = [head + summary([row for _, found in answers for row in found])]
    for title, found in answers:
        parts += [f"## {title}\n", table(found)]
    return "\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
