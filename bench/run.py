"""Asks every question of this folder, beside Dagster, and writes ``docs/benchmarks.md``.

    python bench/run.py [--minutes 40] [--page docs/benchmarks.md] [question ...]

A question that fails is a row that says why; what would begin after the time is left out and says so.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import api_verbs
import documents
import event_log
import in_process_ops
import multiprocess_ops
import notifications
import plans
import queued_steps
import run_queue
import scaling
import start_up
import step_pods
import step_start
from comparison import DAGSTER_ENV, Bench, Figure, Row, line
from databases import Databases
from report import page

QUESTIONS: dict[str, tuple[str, Callable[[Bench], Iterator[Row]]]] = {
    "start_up": ("Start", start_up.rows),
    "api_verbs": ("One step, one run, as a container starts them", api_verbs.rows),
    "in_process_ops": ("An op in the run's own process", in_process_ops.rows),
    "multiprocess_ops": ("An op in a process of its own", multiprocess_ops.rows),
    "step_start": ("From a step's order to its first line", step_start.rows),
    "step_pods": ("Steps as Kubernetes Jobs, on a cluster in memory", step_pods.rows),
    "queued_steps": ("A step in a queue", queued_steps.rows),
    "plans": ("Plans", plans.rows),
    "event_log": ("Events", event_log.rows),
    "notifications": ("What it costs to wake readers", notifications.rows),
    "documents": ("Documents", documents.rows),
    "run_queue": ("The queue of runs", run_queue.rows),
    "scaling": ("From 1,000 to 10,000 ops", scaling.rows),
}
PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"


@dataclass(frozen=True)
class Answer:
    """What one question brought: a title and rows."""

    title: str
    rows: list[Row]


def answer(name: str, bench: Bench) -> Answer:
    """Ask one question, showing each row as it comes."""
    title, question = QUESTIONS[name]
    rows: list[Row] = []
    try:
        for row in question(bench):
            print(f"{time.monotonic() - BEGAN:6.0f} s  {line(row)}", flush=True)
            rows.append(row)
    except Exception as e:  # noqa: BLE001 - one question must not cost the others
        rows.append(Row(Figure("", f"`bench/{name}.py` did not finish", ""), None, None, f"{type(e).__name__}: {e}"))
        print(f"{time.monotonic() - BEGAN:6.0f} s  {line(rows[-1])}", flush=True)
    return Answer(f"{title} (`bench/{name}.py`)", rows)


def main() -> int:
    """0, or 1 when a figure of ours could not be had."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions", nargs="*", choices=[[], *QUESTIONS], default=[], help="which; none: all")
    parser.add_argument("--minutes", type=float, default=40, help="what begins later is left out")
    parser.add_argument(
        "--page", type=Path, help="where to write the page; by default docs/benchmarks.md when all are asked"
    )
    given = parser.parse_args()
    names = given.questions or list(QUESTIONS)
    with tempfile.TemporaryDirectory(prefix="runplane-bench-") as folder, Databases() as databases:
        bench = Bench(Path(folder), databases, BEGAN + 60 * given.minutes)
        if len(bench.sides) == 1:
            print(f"{DAGSTER_ENV} is not set: runplane is measured alone", flush=True)
        answers = [answer(name, bench) for name in names]
        text = page(answers, bench, time.monotonic() - BEGAN)
    target = given.page or (None if given.questions else PAGE)
    if target is not None:
        target.write_text(text)
        print(f"written: {target}")
    return int(any(row.ours is None for one in answers for row in one.rows))


BEGAN = time.monotonic()

if __name__ == "__main__":
    sys.exit(main())
