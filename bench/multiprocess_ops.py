"""What an op costs in a process of its own: a whole ``api execute_run`` of many independent ops less one of a single op."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from comparison import Bench, Figure, Finished, Row, Side, alone

DEFAULT = "multiprocess, per op, as configured by default (template; spawn)"
METHODS: dict[str, tuple[str, float | None]] = {
    "default": (DEFAULT, 160),
    "forkserver": ("multiprocess, per op, forkserver", 65),
    "spawn": ("multiprocess, per op, spawn on both sides", None),
}
REALLY = {("default", "runplane"): "template", ("forkserver", "runplane"): "template", ("default", "dagster"): "spawn"}
"""What a start method comes to, where it is another: measured once for both."""
MANY, FEW = 300, 6
"""Ops of a run whose steps are forked; where each starts a Python anew."""
TIMES = (3, 2)


def rows(bench: Bench) -> Iterator[Row]:
    """Ask."""
    measured: dict[tuple[str, str, int], Mapping[str, float]] = {}
    for method, (what, times) in METHODS.items():
        figures = [Figure("wall_ms", what, "ms", times=times), Figure("cpu_ms", f"{what}, CPU", "ms")]

        def once(side: Side, turn: int, method: str = method) -> Mapping[str, float]:
            really = REALLY.get((method, side.package), method)
            if (side.package, really, turn) not in measured:
                measured[side.package, really, turn] = per_op(bench, side, really)
            return measured[side.package, really, turn]

        yield from bench.rows(figures, once, TIMES)


def per_op(bench: Bench, side: Side, method: str) -> Mapping[str, float]:
    """Time of one more op. Dagster's fork server belongs to nobody who waits for it: its processor time can not be told."""
    ops = MANY if method == "template" else FEW
    config = {"execution": {"config": {"multiprocess": {"start_method": {method: {}}}}}}
    single, many = execute_run(bench, side, 1, config), execute_run(bench, side, ops, config)
    found = {"wall_ms": 1000 * (many.wall_s - single.wall_s) / (ops - 1)}
    return found if method == "forkserver" else {**found, "cpu_ms": 1000 * (many.cpu_s - single.cpu_s) / (ops - 1)}


def execute_run(bench: Bench, side: Side, ops: int, config: Mapping[str, Any]) -> Finished:
    """``api execute_run`` of so many independent ops, on SQLite."""
    with bench.home("sqlite") as home:
        words = (f"{side.package}_runs.py", "wide", "1", "", json.dumps(config))
        document = bench.run(side, *words, home=home, BENCH_OPS=str(ops)).printed.strip()
        words = ("-m", side.package, "api", "execute_run", document)
        return bench.run(side, *words, home=home, BENCH_OPS=str(ops))


if __name__ == "__main__":
    alone(rows)
