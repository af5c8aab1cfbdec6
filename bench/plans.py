"""What it takes to make a plan: ops in layers of 100, each taking the outputs of two ops of the layer before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from comparison import Bench, Figure, Row, Side, alone

AIMS = {1_000: 0.026, 5_000: 0.13, 10_000: 0.26}


def rows(bench: Bench) -> Iterator[Row]:
    """Ask."""
    for ops, aim in AIMS.items():
        figure = Figure("plan_s", f"plan of {ops:,} ops", "s", aim, ours_only=ops > 5_000)

        def once(side: Side, _: int, ops: int = ops) -> Mapping[str, float]:
            return bench.run(side, f"{side.package}_plan.py", str(ops)).figures()

        yield from bench.rows([figure], once, (5, 2))


if __name__ == "__main__":
    alone(rows)
