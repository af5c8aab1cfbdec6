"""A step in a queue of Redis: from the end of one step to the begin of the next, CPU, messages, results, connections to the database.

A chain of ops with ``celery_executor``, one worker with one slot, Postgres. Processor time is that of the run's process and of the worker
with all its processes, from the run's begin to its end.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import databases  # noqa: F401 - makes the tests' servers importable
import psutil
from comparison import PROGRAMS, Bench, Figure, Row, Side, alone

from services.redis_server import RedisServer

OPS = 10
START_S = 120.0
FIGURES = [
    Figure("gap_s", "from a step's end to the next one's first line, median", "s", aim=0.2),
    Figure("cpu_s", "CPU of run and worker, per step", "s", times=5),
    Figure("messages", "messages in queues, per step", "", aim=1),
    Figure("results", "results stored in the broker, per step", "", aim=0),
    Figure("connections", "connections of a worker's process to the database, at most", "", aim=2),
]


def rows(bench: Bench) -> Iterator[Row]:
    """Ask."""
    yield from bench.rows(FIGURES, lambda side, _: measure(bench, side), (3, 2))


def measure(bench: Bench, side: Side) -> Mapping[str, float]:
    """One run of the chain, after one that warms the worker up."""
    with tempfile.TemporaryDirectory(dir=bench.folder) as name, bench.home("postgres") as home:
        folder = Path(name)
        broker = RedisServer(folder)
        config = {"broker": broker.url, "backend": broker.url.removesuffix("/0") + "/1"}
        times = folder / "times"
        given = {"BENCH_OPS": str(OPS), "BENCH_CELERY": json.dumps(config), "BENCH_TIMES": str(times)}
        settings = folder / "celery.yaml"
        settings.write_text(json.dumps({"execution": {"config": config}}))
        try:
            with worker(side, settings, {**given, "DAGSTER_HOME": str(home)}, folder) as process:
                bench.run(side, "queued.py", home=home, **given)
                times.unlink()
                before, cpu_before = calls_of(broker), cpu_of(process)
                with most_connections(process, home) as connections:
                    run = bench.run(side, "queued.py", home=home, **given)
                cpu_s = cpu_of(process) - cpu_before + run.cpu_s
                after = calls_of(broker)
        finally:
            broker.stop()
        counted = {key: (after[key] - before[key]) / OPS for key in after}
        return {"gap_s": gap_of(times), "cpu_s": cpu_s / OPS, **counted, "connections": connections[0]}


@contextmanager
def worker(side: Side, settings: Path, given: Mapping[str, str], folder: Path) -> Iterator[psutil.Process]:
    """A worker with one slot, as each side starts it, when it is there."""
    started = {
        "runplane": ["-m", "runplane", "celery", "worker", "start", "-y", str(settings), "-c", "1"],
        "dagster": ["-m", "dagster_celery.cli", "worker", "start", "-A", "dagster_celery.app", "-y", str(settings), "--", "--concurrency=1"],
    }  # fmt: skip
    said = {"runplane": "1 slots", "dagster": "ready."}
    path = [str(PROGRAMS), *([os.environ["PYTHONPATH"]] if side.is_ours and "PYTHONPATH" in os.environ else [])]
    # Dagster calls `celery` and adds its own folder to the end of PYTHONPATH, without a separator.
    called = folder / "celery"
    called.write_text(f'#!/bin/sh\nexec {side.python} -m celery "$@"\n')
    called.chmod(0o755)
    programs = os.pathsep.join([str(folder), os.environ["PATH"]])
    python_path = os.pathsep.join([*path, ""])
    env = {**os.environ, **given, "BENCH_PACKAGE": side.package, "PYTHONPATH": python_path, "PATH": programs}
    log = folder / "worker.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [side.python, *started[side.package]],
            env=env,
            cwd=PROGRAMS,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        end = time.monotonic() + START_S
        while said[side.package] not in log.read_text(encoding="utf-8", errors="replace"):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"no worker: {log.read_text(encoding='utf-8', errors='replace')[-300:]}")
            time.sleep(0.1)
        yield psutil.Process(process.pid)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def processes_of(process: psutil.Process) -> list[psutil.Process]:
    """A process and all below it."""
    return [process, *process.children(recursive=True)]


def cpu_of(process: psutil.Process) -> float:
    """Processor seconds of a process, of what it waited for and of what runs below it."""
    total = 0.0
    for one in processes_of(process):
        with suppress(psutil.NoSuchProcess):
            used = one.cpu_times()
            total += used.user + used.system + used.children_user + used.children_system
    return total


def calls_of(broker: RedisServer) -> dict[str, float]:
    """How many messages were put into queues, and how many results were stored."""
    stats = broker.client().info("commandstats")
    calls = {name: stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("lpush", "setex")}
    return {"messages": calls["lpush"], "results": calls["setex"]}


def gap_of(times: Path) -> float:
    """The median of what lies between the end of one step and the begin of the next."""
    noted = [float(line.split()[1]) for line in times.read_text().splitlines()]
    ends, begins = noted[1:-1:2], noted[2::2]
    return statistics.median(begin - end for begin, end in zip(begins, ends, strict=True))


@contextmanager
def most_connections(process: psutil.Process, home: Path) -> Iterator[list[float]]:
    """The most connections to the home's database that one process of a worker had, as seen twenty times a second."""
    text = (home / "dagster.yaml").read_text()
    port = urlsplit(text.partition("postgres_url: '")[2].partition("'")[0]).port
    most, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            for one in processes_of(process):
                with suppress(psutil.Error):
                    held = [c for c in one.net_connections("tcp") if c.raddr and c.raddr.port == port]
                    most[0] = max(most[0], float(len(held)))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        done.set()
        thread.join()


if __name__ == "__main__":
    alone(rows)
