"""How cost grows from 1,000 to 10,000 ops, and how much memory a run process holds then. Ours only: Dagster would take hours.

Slopes are of processor time, of all processes of the run: 1 is linear.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from comparison import Bench, Figure, Row, Side, alone
from multiprocess_ops import execute_run

SMALL, LARGE = 1_000, 10_000
NAMES = {"wide": "independent", "chain": "a chain"}
MULTIPROCESS = [
    Figure("slope", "log-log slope from 1,000 to 10,000 ops, multiprocess", "", aim=1.1, ours_only=True),
    Figure("per_op_ms", "multiprocess, per op of 10,000", "ms", aim=10, ours_only=True),
    Figure("peak_mib", "memory of the run process at 10,000 multiprocess ops", "MiB", aim=150, ours_only=True),
]


def rows(bench: Bench) -> Iterator[Row]:
    """Ask."""
    for shape in ("wide", "chain"):
        what = f"log-log slope from 1,000 to 10,000 ops, {NAMES[shape]}, the engine alone"

        def engine(side: Side, _: int, shape: str = shape) -> Mapping[str, float]:
            found = bench.run(side, "runplane_engine.py", shape, str(SMALL), str(LARGE)).figures()
            return {"slope": slope({n: n * found[f"per_op_ms_of_{n}"] for n in (SMALL, LARGE)})}

        yield from bench.rows([Figure("slope", what, "", aim=1.1, ours_only=True)], engine, (3, 0))
    for shape, storage in (("wide", "ephemeral"), ("chain", "ephemeral"), ("wide", "home"), ("chain", "home")):
        kept = "ephemeral instance" if storage == "ephemeral" else "SQLite"
        what = f"log-log slope from 1,000 to 10,000 ops, {NAMES[shape]}, {kept}"

        def in_process(side: Side, _: int, shape: str = shape, storage: str = storage) -> Mapping[str, float]:
            took = {}
            for ops in (SMALL, LARGE):
                with bench.home("sqlite") as home:
                    done = bench.run(side, "in_process.py", shape, str(ops), storage, home=home)
                    took[ops] = done.figures()["cpu_s"]
            return {"slope": slope(took)}

        yield from bench.rows([Figure("slope", what, "", aim=1.1, ours_only=True)], in_process, (2, 0))

    def multiprocess(side: Side, _: int) -> Mapping[str, float]:
        config = {"execution": {"config": {"multiprocess": {}}}}
        # Small ones before and after the large one: the machine may be slower now than a minute ago.
        before, large, after = (execute_run(bench, side, ops, config) for ops in (SMALL, LARGE, SMALL))
        return {
            "slope": slope({SMALL: (before.cpu_s + after.cpu_s) / 2, LARGE: large.cpu_s}),
            "per_op_ms": 1000 * large.wall_s / LARGE,
            "peak_mib": large.peak_mib,
        }

    yield from bench.rows(MULTIPROCESS, multiprocess, (1, 0))


def slope(took: Mapping[int, float]) -> float:
    """1 when ten times the ops take ten times as long."""
    return math.log(took[LARGE] / took[SMALL]) / math.log(LARGE / SMALL)


if __name__ == "__main__":
    alone(rows)
