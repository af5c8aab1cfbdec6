"""Where the nodes of a graph are drawn."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from runplane.cli.page.layers import Layout, lay_out

DIAMOND = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[str], list[tuple[str, str]]]:
    """Nodes in an order of their data, edges forwards."""
    names = [f"n{i}" for i in range(draw(st.integers(1, 12)))]
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    return draw(st.permutations(names)), chosen


@given(graphs())
def test_edges_lead_to_the_right_and_nothing_overlaps(graph: tuple[list[str], list[tuple[str, str]]]) -> None:
    nodes, edges = graph

    found = lay_out(nodes, edges)

    assert set(found.places) == set(nodes)
    assert set(found.routes) == set(edges)
    for (source, target), route in found.routes.items():
        assert (route[0], route[-1]) == (found.places[source], found.places[target])
        assert [layer for layer, _ in route] == list(range(route[0][0], route[-1][0] + 1))
        assert route[0][0] < route[-1][0]
    for layer in range(found.layers):
        taken = {row for at, row in found.places.values() if at == layer}
        rows = sorted(taken | {row for route in found.routes.values() for at, row in route[1:-1] if at == layer})
        assert all(b - a > 0.999 for a, b in itertools.pairwise(rows)), "two things at one place"
        assert all(-0.001 <= row <= found.rows - 0.999 for row in rows)


def test_a_diamond_is_drawn_as_one() -> None:
    found = lay_out(list("abcd"), DIAMOND)

    assert {name: place[0] for name, place in found.places.items()} == {"a": 0, "b": 1, "c": 1, "d": 2}
    assert abs(found.places["a"][1] - found.places["d"][1]) < 0.01
    assert found.places["b"][1] < found.places["a"][1] < found.places["c"][1]


def test_what_takes_from_nothing_stands_right_before_what_takes_from_it() -> None:
    found = lay_out([*"abc", "late"], [("a", "b"), ("b", "c"), ("late", "c")])

    assert found.places["late"][0] == 1


def test_two_chains_do_not_cross() -> None:
    found = lay_out(["a", "x", "y", "b", "c", "z"], [("a", "b"), ("b", "c"), ("x", "y"), ("y", "z")])

    assert _crossings(found) == 0
    assert found.places["a"][1] == found.places["b"][1] == found.places["c"][1]


def test_nothing_is_drawn_of_nothing() -> None:
    assert lay_out([], []) == Layout({}, {}, 0, 0.0)


def _crossings(found: Layout) -> int:
    """Pairs of pieces of edges between the same two layers that change sides."""
    pieces = [(a, b) for route in found.routes.values() for a, b in itertools.pairwise(route)]
    return sum(
        a[0] == c[0] and (a[1] - c[1]) * (b[1] - d[1]) < 0
        for n, (a, b) in enumerate(pieces)
        for c, d in pieces[n + 1 :]
    )
