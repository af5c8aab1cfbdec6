"""What many steps cost the API server: two watches, a create each, and next to nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from runplane.definitions.code_loading import load_job
from runplane.events.argv import COMPRESSED_STEP_ARGS_ENV, RUN_ARGS_ENV
from runplane.events.event import NewEvent
from runplane.events.kinds import EventKind
from runplane.events.origin import FileCodePointer, JobOrigin, RepositoryOrigin
from runplane.events.status import RunStatus
from runplane.events.wire import read_step_args
from runplane.executors.k8s_attempts import IN_FLIGHT
from runplane.executors.k8s_refused_creates import READ_S
from runplane.instance.instance import Instance, RunRequest
from runplane.kube.client import KubeClient
from runplane.kube.health import judge
from runplane.kube.verdict import Health
from runplane.plan.compile import compile_plan
from runplane.storage.contract import AttemptRef, Claimed
from runplane.testing.fake_cluster import FakeCluster, FakePod, Fault
from runplane.testing.fake_cluster.pods import Script
from runplane.testing.tier_a import Place
from scale import scaled
from services.k8s_bench import Bench, Jobs, order

STEPS, OF_A_RUN = scaled(150, long=2000), scaled(40, long=2000)


@pytest.fixture
def bench(cluster: FakeCluster, client: KubeClient) -> Iterator[Bench]:
    made = Bench(cluster, client, Jobs())
    yield made
    cluster.end_faults()
    made.runner.close()


def test_many_steps_cost_two_watches_and_nothing_but_creates(bench: Bench) -> None:
    keys = [f"s{i}" for i in range(STEPS)]
    began = time.monotonic()
    for key in keys:
        bench.runner.start(order(key))
    seen = lambda key: judge(bench.runner._watch.observed(bench.jobs.name(AttemptRef(key, 1)))).health
    bench.cluster.wait_for("all pods", lambda: all(seen(key) is Health.ALIVE for key in keys), 120)

    for key in keys:
        bench.cluster.pod_of(bench.jobs.name(AttemptRef(key, 1))).exited(0)
    bench.heard.until(lambda: len({s.ref for s in bench.heard.signals if hasattr(s, "evidence")}) == STEPS, 120)

    counts = bench.cluster.counts()
    assert counts.pop("create jobs") == STEPS
    # A cluster that is slow to make pods is asked why, now and then, for all steps at once.
    assert counts.pop("list events", 0) <= (time.monotonic() - began) / READ_S
    assert (counts.pop("watch jobs"), counts.pop("watch pods")) == (1, 1)
    assert counts == {"list jobs": 1, "list pods": 1}


def test_creates_are_made_side_by_side_and_one_that_hangs_holds_up_only_itself(bench: Bench) -> None:
    early = bench.starts("early")
    hangs = bench.jobs.name(AttemptRef("hangs", 1))
    bench.cluster.fault(Fault("create", "jobs", name=hangs, hang=True))
    others = bench.cluster.fault(Fault("create", "jobs", hang=True))
    asked = lambda: bench.cluster.counts()["create jobs"]
    steps = 3 * IN_FLIGHT
    bench.runner.start(order("hangs"))
    bench.cluster.wait_for("its create", lambda: asked() == 2)

    for i in range(steps):
        bench.runner.start(order(f"s{i}"))
    bench.cluster.wait_for("as many calls as there may be", lambda: asked() == 1 + IN_FLIGHT)
    early.exited(0)
    bench.gone(AttemptRef("early", 1))  # watches have connections of their own
    bench.cluster.faults.end(others)

    bench.cluster.wait_for("all others", lambda: len(bench.cluster.all_jobs()) == 1 + steps, 60)
    assert hangs not in {job["metadata"]["name"] for job in bench.cluster.all_jobs()}


WIDE = """
from runplane import job, k8s_job_executor, op

@op
def work():
    pass

@job(executor_def=k8s_job_executor.configured({{"job_image": "wide", "max_concurrent": 500}}))
def wide():
    for i in range({steps}):
        work.alias(f"s{{i}}")()
"""


def writes_its_outcome(instance: Instance, pod: FakePod) -> None:
    """A pod without a process: it claims its attempt, stores a success, and ends a moment later."""
    pod.scheduled()
    pod.running()
    args = read_step_args(pod.environment()[COMPRESSED_STEP_ARGS_ENV])
    assert args.issued is not None
    assert args.step_keys is not None
    ref = AttemptRef(args.step_keys[0], args.issued.attempt)
    event = lambda kind: NewEvent(kind, ref.step, ref.n, {"message": str(kind)}, time.time())
    claimed = instance.journal.claim(args.run_id, ref, pod.uid, event(EventKind.STEP_WORKER_STARTED), make=False)
    assert isinstance(claimed, Claimed)
    instance.journal.append_as_attempt(args.run_id, ref, claimed.nonce, 1, [event(EventKind.STEP_SUCCESS)])
    pod.after(1.0, lambda p: p.exited(0))


@pytest.mark.timeout(1200)
def test_a_run_of_many_steps(tmp_path: Path) -> None:
    file = tmp_path / "wide.py"
    file.write_text(WIDE.format(steps=OF_A_RUN))
    pointer = FileCodePointer(str(file), "wide", str(tmp_path))
    plan = compile_plan(load_job(pointer, "wide"), {})
    place = Place.in_sqlite(tmp_path)
    with FakeCluster() as cluster, place.instance() as instance:
        cluster.program = lambda pod: Script(lambda p: writes_its_outcome(instance, p))
        place.env["KUBECONFIG"] = str(cluster.kubeconfig(tmp_path))
        run = instance.create(RunRequest("wide", JobOrigin("wide", RepositoryOrigin("python", pointer)), plan))
        # A process of its own, and not one that is forked from another: its memory is looked at.
        worker = subprocess.Popen(
            [sys.executable, "-m", "runplane", "api", "execute_run"],
            env=place.environment(**{RUN_ARGS_ENV: instance.document(run)}),
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        began, most = time.monotonic(), 0
        while worker.poll() is None:
            try:
                most = max(most, psutil.Process(worker.pid).memory_info().rss)
            except psutil.NoSuchProcess:
                break
            time.sleep(0.2)
        worker.wait(60)
        took = time.monotonic() - began
        counts: dict[str, Any] = dict(cluster.counts())
        print(json.dumps({"seconds": round(took), "MiB": most // 2**20, **counts}))

        assert worker.returncode == 0
        assert instance.journal.head(run.run_id).status is RunStatus.SUCCESS
        assert cluster.errors == []
        assert counts.pop("create jobs") == OF_A_RUN
        counts.pop("delete jobs", None)
        assert counts.pop("watch jobs") <= 2 + took / 60
        assert counts.pop("watch pods") <= 2 + took / 60
        assert sum(counts.values()) < 5 + took, counts
        assert most < 150 * 2**20
