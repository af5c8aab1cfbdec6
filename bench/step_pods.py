"""What steps as Kubernetes Jobs cost a run's worker and an API server: gaps, requests, watches, memory.

The cluster is in memory, in this process, and its pods are no processes: each claims its attempt, stores a success and ends, so that all
that is measured is the run's worker, which is a process as in any pod. What a real cluster adds is asked by ``on_a_cluster.py``.

    python bench/step_pods.py
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from comparison import Bench, Figure, ProgramError, Row, Side, alone

from runplane.definitions.code_loading import load_job
from runplane.events.argv import COMPRESSED_STEP_ARGS_ENV, RUN_ARGS_ENV
from runplane.events.event import NewEvent
from runplane.events.kinds import EventKind
from runplane.events.origin import FileCodePointer, JobOrigin, RepositoryOrigin
from runplane.events.status import RunStatus
from runplane.events.wire import read_step_args
from runplane.instance.instance import Instance, RunRequest
from runplane.plan.compile import compile_plan
from runplane.storage.contract import AttemptRef, Claimed
from runplane.testing.fake_cluster import FakeCluster, FakePod, Fault
from runplane.testing.fake_cluster.pods import Script

CHAIN, WIDE, MANY = 200, 320, 2000
LATENCY_S = 0.3
"""Of a create, where launches are counted."""
LONGEST_S = 600
JOBS = """
from runplane import job, k8s_job_executor, op

@op
def begins():
    pass

@op
def follows(before):
    pass

@job(executor_def=k8s_job_executor.configured({{"job_image": "bench", "runplane": {{"creates_per_second": {limit}}}}}))
def chain():
    value = begins()
    for i in range({ops} - 1):
        value = follows.alias(f"op_{{i}}")(value)

@job(executor_def=k8s_job_executor.configured({{"job_image": "bench", "runplane": {{"creates_per_second": {limit}}}}}))
def wide():
    for i in range({ops}):
        begins.alias(f"op_{{i}}")()
"""
CREATES_PER_SECOND = 50
"""The executor's own default."""


class Pods:
    """What pods do, and when each had its success stored (``time.monotonic``)."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self.stored: list[float] = []

    def program(self, _pod: FakePod) -> Script:
        """Of any pod."""
        return Script(self._ends_well)

    def _ends_well(self, pod: FakePod) -> None:
        pod.scheduled()
        pod.running()
        args = read_step_args(pod.environment()[COMPRESSED_STEP_ARGS_ENV])
        ref = AttemptRef(args.step_keys[0], args.issued.attempt)
        journal = self._instance.journal
        claimed = journal.claim(args.run_id, ref, pod.uid, _event(EventKind.STEP_WORKER_STARTED, ref), make=False)
        if not isinstance(claimed, Claimed):
            raise ProgramError(f"{ref} was not to be had: {claimed}")
        outcome = [_output(ref), _event(EventKind.STEP_SUCCESS, ref)]
        journal.append_as_attempt(args.run_id, ref, claimed.nonce, 1, outcome)
        self.stored.append(time.monotonic())
        pod.after(0.5, lambda p: p.exited(0))


def _event(kind: EventKind, ref: AttemptRef) -> NewEvent:
    return NewEvent(kind, ref.step, ref.n, {"message": str(kind)}, time.time())


def _output(ref: AttemptRef) -> NewEvent:
    return NewEvent(EventKind.STEP_OUTPUT, ref.step, ref.n, {"output": "result", "message": "result"}, time.time())


@dataclass(frozen=True)
class Asked:
    """One run that is measured.

    Attributes:
        job, ops: which job, and how many steps it has.
        figures: what is asked of it.
        limit: creates per second that the executor's config allows.
        latency_s: seconds that a create takes.
    """

    job: str
    ops: int
    figures: Sequence[Figure]
    limit: float = 1000
    latency_s: float = 0.0


def run_of(folder: Path, home: Path, asked: Asked) -> Mapping[str, float]:
    """One run, its worker a process of its own: what it did to the cluster."""
    file = folder / f"{asked.job}_{asked.ops}.py"
    file.write_text(JOBS.format(ops=asked.ops, limit=asked.limit))
    pointer = FileCodePointer(str(file), asked.job, str(folder))
    plan = compile_plan(load_job(pointer, asked.job), {})
    with Instance.from_home(home) as instance, FakeCluster() as cluster:
        pods = Pods(instance)
        cluster.program = pods.program
        if asked.latency_s:
            cluster.fault(Fault("create", "jobs", latency_s=asked.latency_s))
        origin = JobOrigin(asked.job, RepositoryOrigin(sys.executable, pointer))
        run = instance.create(RunRequest(asked.job, origin, plan))
        environment = {
            **os.environ,
            "DAGSTER_HOME": str(home),
            "KUBECONFIG": str(cluster.kubeconfig(folder)),
            "RUNPLANE_PODS_ARE_LOCAL": "1",
            RUN_ARGS_ENV: instance.document(run),
        }
        began = time.monotonic()
        worker = subprocess.Popen(
            [sys.executable, "-m", "runplane", "api", "execute_run"],
            env=environment,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        most = _peak_of(worker)
        took = time.monotonic() - began
        status = instance.journal.head(run.run_id).status
        if status is not RunStatus.SUCCESS or cluster.errors:
            raise ProgramError(f"the run ended as {status}: {cluster.errors}")
        requests = list(cluster.faults.log)
    creates = [one.at for one in requests if (one.verb, one.resource) == ("create", "jobs")]
    counts = Counter(one.verb for one in requests)
    other = len(requests) - counts["create"] - counts["delete"]
    # In a chain each create but the first follows one success.
    gaps = [1000 * (create - stored) for stored, create in zip(pods.stored, creates[1:], strict=False)]
    return {
        "gap_median_ms": statistics.median(gaps),
        "gap_p99_ms": statistics.quantiles(gaps, n=100)[98],
        "launches_per_s": (len(creates) - 1) / (creates[-1] - creates[0]),
        "others_per_s": other / took,
        "watches": counts["watch"],
        "peak_mib": most / 2**20,
        "seconds": took,
    }


def _peak_of(worker: subprocess.Popen[bytes]) -> int:
    """Wait for its end: the most memory that it held."""
    most, end = 0, time.monotonic() + LONGEST_S
    while worker.poll() is None:
        if time.monotonic() > end:
            worker.kill()
            raise ProgramError(f"the run took longer than {LONGEST_S} s")
        try:
            most = max(most, psutil.Process(worker.pid).memory_info().rss)
        except psutil.NoSuchProcess:
            break
        time.sleep(0.05)
    worker.wait()
    return most


GAP = "from a step's stored success to the request for the next one's Job"
ASKED = (
    Asked(
        "chain",
        CHAIN,
        [
            Figure("gap_median_ms", f"{GAP}: median", "ms", ours_only=True),
            Figure("gap_p99_ms", f"{GAP}: p99", "ms", aim=100, ours_only=True),
        ],
    ),
    Asked(
        "wide",
        WIDE,
        [Figure("launches_per_s", "Jobs made, each create taking 0.3 s", "/s", aim=50, more_is_better=True, ours_only=True)],
        CREATES_PER_SECOND,
        LATENCY_S,
    ),
    Asked(
        "wide",
        WIDE,
        [Figure("launches_per_s", "the same, with `creates_per_second` out of the way", "/s", more_is_better=True, ours_only=True)],
        latency_s=LATENCY_S,
    ),
    Asked(
        "wide",
        MANY,
        [
            Figure("others_per_s", "2,000 steps: requests besides creates and deletes", "/s", aim=1, ours_only=True),
            Figure("watches", "2,000 steps: watches opened", "", aim=2, ours_only=True),
            Figure("peak_mib", "2,000 steps: memory of the run's worker", "MiB", aim=150, ours_only=True),
            Figure("seconds", "2,000 steps: the whole run", "s", ours_only=True),
        ],
    ),
)  # fmt: skip


def rows(bench: Bench) -> Iterator[Row]:
    """Ask. Dagster's executor needs pods that are processes: see ``on_a_cluster.py``."""
    for asked in ASKED:

        def once(_side: Side, _turn: int, asked: Asked = asked) -> Mapping[str, float]:
            with tempfile.TemporaryDirectory(dir=bench.folder) as folder, bench.home("postgres") as home:
                return run_of(Path(folder), home, asked)

        yield from bench.rows(asked.figures, once, (1, 0))


if __name__ == "__main__":
    alone(rows)
