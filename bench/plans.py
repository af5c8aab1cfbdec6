"""What it takes to make a plan: ops in layers of 100, each taking the outputs of two ops of the layer before."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from comparison import Bench, Figure, Row, Side, alone

TIMES = {1_000: 5, 5_000: 20}
"""Ops of a plan -> how many times faster than Dagster's it is to be made."""
FEW, MANY = 1_000, 10_000


def rows(bench: Bench) -> Iterator[Row]:
    """Ask."""
    for ops, times in TIMES.items():
        figure = Figure("plan_s", f"plan of {ops:,} ops", "s", times=times)

        def once(side: Side, _: int, ops: int = ops) -> Mapping[str, float]:
            return plan_of(bench, side, ops)

        yield from bench.rows([figure], once, (5, 2))

    def larger(side: Side, _: int) -> Mapping[str, float]:
        few, many = plan_of(bench, side, FEW), plan_of(bench, side, MANY)
        return {"plan_s": many["plan_s"], "slope": math.log10(many["cpu_s"] / few["cpu_s"])}

    figures = [
        Figure("plan_s", f"plan of {MANY:,} ops", "s", ours_only=True),
        Figure("slope", f"log-log slope of plans from {FEW:,} to {MANY:,} ops", "", aim=1.1, ours_only=True),
    ]
    yield from bench.rows(figures, larger, (5, 0))


def plan_of(bench: Bench, side: Side, ops: int) -> Mapping[str, float]:
    """Make a plan of so many ops."""
    return bench.run(side, f"{side.package}_plan.py", str(ops)).figures()


if __name__ == "__main__":
    alone(rows)
