"""What an op costs in a process of its own: a whole ``api execute_run`` of many independent ops less one of a single op."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from comparison import Bench, Figure, Finished, Row, Side, alone

DEFAULT = "multiprocess, per op, as configured by default (template; spawn)"
METHODS: dict[str, tuple[str, dict[str, Any], float | None]] = {
    "default": (DEFAULT, {}, 10),
    "forkserver": ("multiprocess, per op, forkserver", {"forkserver": {}}, 10),
    "spawn": ("multiprocess, per op, spawn on both sides", {"spawn": {}}, None),
}
OPS = {("default", "runplane"): 300, ("forkserver", "runplane"): 300}
FEW = 8
"""Ops of a run where each starts a Python anew."""
TIMES = (3, 2)


def rows(bench: Bench) -> Iterator[Row]:
    """Ask."""
    for method, (what, start_method, aim) in METHODS.items():
        figures = [Figure("wall_ms", what, "ms", aim), Figure("cpu_ms", f"{what}, CPU", "ms")]
        multiprocess = {"start_method": start_method} if start_method else {}
        config = {"execution": {"config": {"multiprocess": multiprocess}}}

        def once(side: Side, _: int, config: dict[str, Any] = config, method: str = method) -> Mapping[str, float]:
            ops = OPS.get((method, side.package), FEW)
            single, many = execute_run(bench, side, 1, config), execute_run(bench, side, ops, config)
            return {
                "wall_ms": 1000 * (many.wall_s - single.wall_s) / (ops - 1),
                "cpu_ms": 1000 * (many.cpu_s - single.cpu_s) / (ops - 1),
            }

        yield from bench.rows(figures, once, TIMES)


def execute_run(bench: Bench, side: Side, ops: int, config: Mapping[str, Any]) -> Finished:
    """``api execute_run`` of so many independent ops, on SQLite."""
    with bench.home("sqlite") as home:
        words = (f"{side.package}_runs.py", "wide", "1", "", json.dumps(config))
        document = bench.run(side, *words, home=home, BENCH_OPS=str(ops)).printed.strip()
        words = ("-m", side.package, "api", "execute_run", document)
        return bench.run(side, *words, home=home, BENCH_OPS=str(ops))


if __name__ == "__main__":
    alone(rows)
