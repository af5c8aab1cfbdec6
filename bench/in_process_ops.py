"""What an op costs in one process: the run's bookkeeping, since the op itself does nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from comparison import Bench, Figure, Row, Side, alone

STORAGES = {"ephemeral": "ephemeral instance", "sqlite": "SQLite", "postgres": "Postgres"}
SHAPES = {"wide": ("independent op", 200), "chain": ("op of a chain of 500", 500)}
TIMES = {
    "wide": {"ephemeral": 100, "sqlite": 80, "postgres": 40},
    "chain": {"ephemeral": 140, "sqlite": 180, "postgres": 64},
}
"""How many times cheaper than Dagster's an op is to be."""


def rows(bench: Bench) -> Iterator[Row]:
    """Ask."""
    for shape, (what, ops) in SHAPES.items():
        alone_figure = Figure("per_op_ms", f"the engine alone, per {what}", "ms", aim=0.1, ours_only=True)

        def engine(side: Side, _: int, shape: str = shape, ops: int = ops) -> Mapping[str, float]:
            return {
                "per_op_ms": bench.run(side, "runplane_engine.py", shape, str(ops)).figures()[f"per_op_ms_of_{ops}"]
            }

        yield from bench.rows([alone_figure], engine, (5, 0))
        for storage, kept in STORAGES.items():
            figure = Figure("per_op_ms", f"in one process, per {what}, {kept}", "ms", times=TIMES[shape][storage])

            def once(
                side: Side, _: int, shape: str = shape, ops: int = ops, storage: str = storage
            ) -> Mapping[str, float]:
                if storage == "ephemeral":
                    return bench.run(side, "in_process.py", shape, str(ops), "ephemeral").figures()
                with bench.home(storage) as home:
                    return bench.run(side, "in_process.py", shape, str(ops), "home", home=home).figures()

            yield from bench.rows([figure], once, (5, 2 if shape == "wide" else 1))


if __name__ == "__main__":
    alone(rows)
