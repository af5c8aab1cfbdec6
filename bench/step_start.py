"""How long it takes from the order of a step to its first line of user code, by start method.

    python bench/step_start.py [steps] [seconds that the import of the user's code takes]

Steps are ordered one after another, as in a chain: each order finds children kept ready. One JSON object per start method.
"""

from __future__ import annotations

import json
import queue
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from runplane.engine.snapshot import StepPlan
from runplane.events.run import Run
from runplane.executors.contract import RunnerSignal, StepOrder, StepWrote
from runplane.executors.multiprocess import MultiprocessRunner
from runplane.executors.step_processes import ProcessSettings, StepProcesses
from runplane.storage.compute_logs import LocalComputeLogStore
from runplane.storage.contract import AttemptRef

PROGRAM = """
import time
from runplane.events.event import NewEvent
from runplane.executors.template.host import serve

def load(import_s):
    time.sleep(import_s)
    def perform(task, emit):
        emit(NewEvent("STEP_SUCCESS", task.ref.step, task.ref.n, {"began": time.time()}, time.time()))
    return perform

if __name__ == "__main__":
    serve(load)
"""
METHODS: dict[str, dict[str, Any]] = {"template": {}, "spawn": {"fork": False, "import_here": False}}


def measure(folder: Path, method: str, steps: int, import_s: float) -> dict[str, Any]:
    """The figures of one start method."""
    program = folder / "program.py"
    program.write_text(PROGRAM)
    inbox: queue.SimpleQueue[RunnerSignal] = queue.SimpleQueue()
    processes = StepProcesses(ProcessSettings([sys.executable, str(program)], import_s, **METHODS[method]))
    runner = MultiprocessRunner(inbox.put, processes, "run", LocalComputeLogStore(folder))
    began = time.perf_counter()
    runner.prepare()
    prepared_s = time.perf_counter() - began
    starts = []
    began = time.perf_counter()
    for i in range(steps):
        ordered = time.time()
        key = f"step_{i}"
        runner.start(StepOrder(Run("run", "job"), StepPlan(key, key, key), AttemptRef(key, 1), nonce="n"))
        signal = inbox.get()
        while not isinstance(signal, StepWrote):
            signal = inbox.get()
        starts.append(1000 * (signal.events[0].body["began"] - ordered))
    took_s = time.perf_counter() - began
    runner.close()
    quantiles = statistics.quantiles(starts, n=100) if steps > 1 else starts * 99
    return {
        "start_method": method,
        "steps": steps,
        "import_s": import_s,
        "prepared_ms": round(1000 * prepared_s, 1),
        "start_median_ms": round(statistics.median(starts), 2),
        "start_p90_ms": round(quantiles[89], 2),
        "start_p99_ms": round(quantiles[98], 2),
        "steps_per_s": round(steps / took_s, 1),
        "coordinator_peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def main() -> None:
    """Measure and print."""
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    import_s = float(sys.argv[2]) if len(sys.argv) > 2 else 0.5
    for method in METHODS:
        with tempfile.TemporaryDirectory() as folder:
            fewer = steps if method == "template" else max(3, steps // 20)
            print(json.dumps(measure(Path(folder), method, fewer, import_s)), flush=True)


if __name__ == "__main__":
    main()
