"""What one step and one run cost as a container starts them: ``api execute_step`` and ``api execute_run``, cold."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

from comparison import Bench, Figure, Row, Side, alone

TIMES = (7, 3)


def rows(bench: Bench) -> Iterator[Row]:
    """Ask."""
    for storage in ("sqlite", "postgres"):
        what = f"`api execute_step`, {_NAMES[storage]}"
        yield from ask(bench, what, "execute_step", storage, "nothing", {}, times=10)
    config = {"execution": {"config": {"multiprocess": {}}}}
    yield from ask(bench, "`api execute_run`, one op, multiprocess", "execute_run", "sqlite", "", config, times=12)
    config = {"execution": {"config": {"in_process": {}}}}
    yield from ask(bench, "`api execute_run`, one op, in-process", "execute_run", "sqlite", "", config, times=8.5)


_NAMES = {"sqlite": "SQLite", "postgres": "Postgres"}


def ask(
    bench: Bench, what: str, verb: str, storage: str, step: str, config: dict[str, object], *, times: float
) -> Iterator[Row]:
    """The rows of one verb: runs are stored first, then one document after the other is carried out."""
    figures = [
        Figure("wall_s", what, "s", times=times),
        Figure("cpu_s", f"{what}, CPU", "s"),
        Figure("peak_mib", f"{what}, memory", "MiB"),
    ]
    with ExitStack() as stack:
        prepared: dict[str, tuple[Path, list[str]]] = {}

        def once(side: Side, turn: int) -> Mapping[str, float]:
            if side.package not in prepared:
                home = stack.enter_context(bench.home(storage))
                count = str(TIMES[0 if side.is_ours else 1])
                words = (f"{side.package}_runs.py", "wide", count, step and "op_0", json.dumps(config))
                prepared[side.package] = home, bench.run(side, *words, home=home).printed.splitlines()
            home, documents = prepared[side.package]
            done = bench.run(side, "-m", side.package, "api", verb, documents[turn], home=home)
            return {"wall_s": done.wall_s, "cpu_s": done.cpu_s, "peak_mib": done.peak_mib}

        yield from bench.rows(figures, once, TIMES)


if __name__ == "__main__":
    alone(rows)
