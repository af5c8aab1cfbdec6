"""How fast runs enter and leave the queue: three daemons on Postgres with a launcher that does nothing, and what one pick costs
with many that wait.

    python bench/run_queue.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

from comparison import Bench, Figure, Row, Side, alone

from runplane.coordinators.limits import QueueLimits
from runplane.daemon.contract import LoopContext
from runplane.daemon.queue_loop import QueueLoop
from runplane.engine.snapshot import PlanSnapshot, StepPlan
from runplane.events.event import NewEvent
from runplane.events.kinds import EventKind
from runplane.events.origin import FileCodePointer, JobOrigin, RepositoryOrigin
from runplane.events.status import RunStatus
from runplane.instance.instance import Instance, RunRequest
from runplane.storage.contract import RunFilter
from runplane.storage.leases import Leases
from runplane.storage.liveness import this_process
from runplane.storage.queue import Queue

RUNS = 3000
BACKLOG = 10_000
DAEMONS = 3
ME = this_process()
LAUNCHER = """
from runplane.launchers.contract import TerminateResult, WorkerHandle

class NoLauncher:
    def launch(self, request):
        return WorkerHandle("none", {})

    def terminate(self, run_id, handle):
        return TerminateResult.DELIVERED
"""


def home_of(folder: Path, url: str, most: int = -1) -> Path:
    """A home whose launcher does nothing."""
    home = folder / f"home-{uuid.uuid4().hex[:8]}"
    home.mkdir()
    (folder / "no_launcher.py").write_text(LAUNCHER)
    text = (
        f"storage: {{postgres: {{postgres_url: {url!r}}}}}\nrun_launcher: {{module: no_launcher, class: NoLauncher}}\n"
    )
    (home / "dagster.yaml").write_text(text + f"run_queue: {{max_concurrent_runs: {most}}}\n")
    return home


def submit(instance: Instance, count: int) -> float:
    """Submit runs, one call each; the seconds it took."""
    origin = JobOrigin("job", RepositoryOrigin(sys.executable, FileCodePointer("/nowhere.py", "job")))
    plan = PlanSnapshot("job", (StepPlan("a", "a", "a"),))
    began = time.perf_counter()
    for _ in range(count):
        instance.submit(RunRequest("job", origin, plan))
    return time.perf_counter() - began


def dequeue(home: Path, folder: Path, instance: Instance) -> float:
    """Seconds from the first run that left the queue to the last that was launched."""
    queue = Queue(instance.journal)
    env = {**os.environ, "DAGSTER_HOME": str(home), "PYTHONPATH": str(folder)}
    command = [sys.executable, "-m", "runplane", "daemon", "run"]
    daemons = [subprocess.Popen(command, env=env, cwd=folder, stderr=subprocess.DEVNULL) for _ in range(DAEMONS)]
    try:
        named = instance.journal.rules.named
        while queue.depth().runs == RUNS:
            time.sleep(0.005)
        began = time.perf_counter()
        while queue.depth().runs or instance.database.read(named("SELECT 1 FROM {launch} LIMIT 1"), {}):
            time.sleep(0.02)
        return time.perf_counter() - began
    finally:
        for daemon in daemons:
            daemon.terminate()
        for daemon in daemons:
            daemon.wait(30)


def rows(bench: Bench) -> Iterator[Row]:
    """Ask. Dagster's queue needs a code server for each launch, so there is nothing to put beside it."""
    figures = [
        Figure(
            "submitted",
            "runs that enter the queue, one client, Postgres",
            "/s",
            aim=500,
            more_is_better=True,
            ours_only=True,
        ),
        Figure(
            "dequeued",
            f"runs taken and launched, {DAEMONS} daemons, Postgres",
            "/s",
            aim=500,
            more_is_better=True,
            ours_only=True,
        ),
    ]

    def once(_: Side, __: int) -> Mapping[str, float]:
        with tempfile.TemporaryDirectory(dir=bench.folder) as name:
            folder = Path(name)
            url = bench.databases.make()
            home = home_of(folder, url)
            with Instance.from_home(home) as instance:
                entered = submit(instance, RUNS)
                left = dequeue(home, folder, instance)
            bench.databases.drop(url)
        return {"submitted": RUNS / entered, "dequeued": RUNS / left}

    yield from bench.rows(figures, once, (2, 0))
    yield from bench.rows(
        [
            Figure("few", "one pick of ten runs, 100 wait", "ms", ours_only=True),
            Figure("many", f"one pick of ten runs, {BACKLOG:,} wait", "ms", ours_only=True),
        ],
        lambda _, __: picks(bench),
        (1, 0),
    )


def picks(bench: Bench) -> Mapping[str, float]:
    """Milliseconds of the queue loop's pass that takes ten runs."""
    sys.path.insert(0, str(bench.folder))
    found: dict[str, float] = {}
    url = bench.databases.make()
    with Instance.from_home(home_of(bench.folder, url, most=10)) as instance:
        for name, count in (("few", 100), ("many", BACKLOG - 100)):
            submit(instance, count)
            found[name] = one_pick(instance)
    bench.databases.drop(url)
    sys.path.remove(str(bench.folder))
    return found


def one_pick(instance: Instance) -> float:
    """The median of passes, each after the runs that were active have ended."""
    leases = Leases(instance.database, ME, ttl_s=60)
    lease = leases.acquire("queue")
    assert lease is not None
    loop = QueueLoop(QueueLimits(10), interval_s=5, ttl_s=60)
    context = LoopContext(instance, ME, lease, lambda: False, lambda: None)
    took = []
    for _ in range(9):
        began = time.perf_counter()
        loop.run_once(context)
        took.append(time.perf_counter() - began)
        for run in instance.runs.page(RunFilter(statuses=(RunStatus.STARTING,)), limit=50).runs:
            instance.journal.move(run.run_id, NewEvent(EventKind.RUN_FAILURE, None, None, {}, time.time()))
    return 1000 * sorted(took)[len(took) // 2]


if __name__ == "__main__":
    alone(rows)
