"""What the documents cost that travel between processes and into storage, and how large they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from comparison import Bench, Figure, Row, Side, alone

FIGURES = [
    Figure("run_args_write_us", "run args, serialise", "us", times=10.5),
    Figure("run_args_read_us", "run args, deserialise", "us", times=6.7),
    Figure("event_write_us", "one event, serialise, as stored", "us", times=10),
    Figure("event_read_us", "one event, deserialise, as stored", "us", times=6.6),
    Figure("entry_write_us", "one event, serialise, in Dagster's form on both sides", "us", times=10),
    Figure("entry_read_us", "one event, deserialise, in Dagster's form on both sides", "us"),
    Figure("json_write_us", "floor: `json.dumps` of the run args' dict", "us"),
    Figure("json_read_us", "floor: `json.loads` of the run args", "us"),
    Figure("run_args_bytes", "run args, smallest instance", "B"),
    Figure("run_args_compressed_bytes", "run args, smallest instance, compressed", "B"),
    Figure("run_args_bare_bytes", "run args without the instance", "B", aim=1_000),
    Figure("step_args_bytes", "step args of a plan of 1 op, smallest instance", "B"),
    Figure("step_args_compressed_bytes", "step args of a plan of 1 op, compressed", "B"),
    Figure("step_args_large_bytes", "step args of a plan of 1,000 ops, 500 of them done", "B"),
]


def rows(bench: Bench) -> Iterator[Row]:
    """Ask."""

    def once(side: Side, _: int) -> Mapping[str, float]:
        with bench.home("sqlite") as home:
            return bench.run(side, f"{side.package}_documents.py", home=home).figures()

    yield from bench.rows(FIGURES, once, (5, 3))


if __name__ == "__main__":
    alone(rows)
