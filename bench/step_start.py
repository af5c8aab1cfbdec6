"""How long it takes from the order of a step to its first line of user code, by start method.

Steps are ordered one after another, as in a chain: each order finds children kept ready.
"""

from __future__ import annotations

import queue
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from comparison import Bench, Figure, Row, Side, alone

from runplane.engine.snapshot import StepPlan
from runplane.events.run import Run
from runplane.executors.contract import RunnerSignal, StepOrder, StepWrote
from runplane.executors.multiprocess import MultiprocessRunner
from runplane.executors.processes.contract import ProcessSettings
from runplane.executors.processes.step_processes import StepProcesses
from runplane.executors.values import NoValues
from runplane.storage.compute_logs import LocalComputeLogStore
from runplane.storage.contract import AttemptRef

PROGRAM = """
import time
from runplane.events.event import NewEvent
from runplane.executors.template.host import serve

def load(import_s):
    time.sleep(import_s)
    def perform(task, emit, ask):
        emit(NewEvent("STEP_SUCCESS", task.ref.step, task.ref.n, {"began": time.time()}, time.time()))
    return perform

if __name__ == "__main__":
    serve(load)
"""
ASKED: dict[str, tuple[str, float | None, int]] = {
    "template": ("forked from a template with children kept ready", 10, 200),
    "spawn": ("a Python of its own (spawn)", None, 10),
}
"""Start method -> in words, the aim in ms, how many steps."""
IMPORT_S = 0.5
"""How long the import of the user's code takes: a template pays for it once."""
METHODS: dict[str, dict[str, Any]] = {"template": {}, "spawn": {"fork": False, "import_here": False}}


def measure(folder: Path, method: str, steps: int, import_s: float) -> Mapping[str, float]:
    """The figures of one start method."""
    program = folder / "program.py"
    program.write_text(PROGRAM)
    inbox: queue.SimpleQueue[RunnerSignal] = queue.SimpleQueue()
    processes = StepProcesses(ProcessSettings([sys.executable, str(program)], import_s, **METHODS[method]))
    runner = MultiprocessRunner(inbox.put, processes, "run", LocalComputeLogStore(folder), NoValues())
    runner.prepare()
    starts = []
    for i in range(steps):
        ordered = time.time()
        key = f"step_{i}"
        runner.start(StepOrder(Run("run", "job"), StepPlan(key, key, key), AttemptRef(key, 1), nonce="n"))
        signal = inbox.get()
        while not isinstance(signal, StepWrote):
            signal = inbox.get()
        starts.append(1000 * (signal.events[0].body["began"] - ordered))
    runner.close()
    quantiles = statistics.quantiles(starts, n=100)
    return {"start_median_ms": statistics.median(starts), "start_p99_ms": quantiles[98]}


def rows(bench: Bench) -> Iterator[Row]:
    """Ask."""
    for method, (words, aim, steps) in ASKED.items():
        figures = [
            Figure(
                "start_median_ms",
                f"from a step's order to its first line, {words}: median",
                "ms",
                aim=aim,
                ours_only=True,
            ),
            Figure("start_p99_ms", f"from a step's order to its first line, {words}: p99", "ms", ours_only=True),
        ]

        def once(_side: Side, _turn: int, method: str = method, steps: int = steps) -> Mapping[str, float]:
            with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
                return measure(Path(folder), method, steps, IMPORT_S)

        yield from bench.rows(figures, once, (3, 0))


if __name__ == "__main__":
    alone(rows)
