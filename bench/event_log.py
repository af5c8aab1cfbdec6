"""How fast events of one run are written by one writer, and read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from comparison import Bench, Figure, Row, Side, alone


def rows(bench: Bench) -> Iterator[Row]:
    """Ask."""
    for storage, name, times in (("sqlite", "SQLite", 106), ("postgres", "Postgres", 215)):
        figures = [
            Figure(
                "written_batched",
                f"event write, {name}: batches of 250; one by one",
                "/s",
                times=times,
                more_is_better=True,
            ),
            Figure("written_singly", f"event write, {name}: one by one on both sides", "/s", more_is_better=True),
            Figure("read", f"event read, {name}", "/s", times=10, more_is_better=True),
        ]

        def once(side: Side, _: int, storage: str = storage) -> Mapping[str, float]:
            with bench.home(storage) as home:
                return bench.run(side, f"{side.package}_events.py", home=home).figures()

        yield from bench.rows(figures, once, (5, 2))


if __name__ == "__main__":
    alone(rows)
