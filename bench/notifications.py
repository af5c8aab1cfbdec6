"""What it costs that an outcome wakes readers: NOTIFY takes a lock of the whole database at commit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from comparison import Bench, Figure, Row, Side, alone

CLIENTS = (1, 16)
WAYS = {"news": "readers are woken", "silence": "nobody is woken"}


def rows(bench: Bench) -> Iterator[Row]:
    """Ask."""
    for clients in CLIENTS:
        what = f"outcomes stored one by one, Postgres, {clients} coordinator{'s' if clients > 1 else ''}"
        figures = [
            Figure(way, f"{what}, {words}", "/s", more_is_better=True, ours_only=True) for way, words in WAYS.items()
        ]

        def once(side: Side, _: int, clients: int = clients) -> Mapping[str, float]:
            return rate(bench, side, clients, "news") | rate(bench, side, clients, "silence")

        yield from bench.rows(figures, once, (3, 0))


def rate(bench: Bench, side: Side, clients: int, way: str) -> dict[str, float]:
    """Outcomes a second, on a fresh database."""
    url = bench.databases.make()
    try:
        return bench.run(side, "runplane_outcomes.py", url, str(clients), way).figures()
    finally:
        bench.databases.drop(url)


if __name__ == "__main__":
    alone(rows)
