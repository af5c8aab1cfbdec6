"""Where the nodes of a directed acyclic graph are drawn: in layers from left to right, with few crossings. Pure.

The classic four steps: each node stands behind all that it takes from; an edge that passes layers gets a place in each of them; the
order in a layer follows the neighbours' mean, back and forth; then places are moved towards the neighbours without changing the order.
Source: K. Sugiyama, S. Tagawa, M. Toda, "Methods for Visual Understanding of Hierarchical System Structures" (1981).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Edge = tuple[str, str]
Place = tuple[int, float]
"""A layer from 0, and a row in it: whole numbers are one row apart, none overlap."""
ORDER_SWEEPS = 8
PLACE_SWEEPS = 12


@dataclass(frozen=True)
class Layout:
    """Where everything is.

    Attributes:
        places: of each node.
        routes: for each edge the places that it passes, both ends included.
        layers, rows: extent; rows begin at 0.
    """

    places: Mapping[str, Place]
    routes: Mapping[Edge, Sequence[Place]]
    layers: int
    rows: float


@dataclass
class _Cell:
    """A node, or the place that an edge has in a layer it passes."""

    layer: int
    row: float = 0.0
    before: list[_Cell] = field(default_factory=list)
    after: list[_Cell] = field(default_factory=list)


def lay_out(nodes: Sequence[str], edges: Sequence[Edge]) -> Layout:
    """Lay out a graph without cycles. Edges to or from nodes that are not given are left out; so are doubles."""
    known = set(nodes)
    wanted = list(dict.fromkeys(e for e in edges if e[0] in known and e[1] in known and e[0] != e[1]))
    layer_of = _layers(nodes, wanted)
    cells = {name: _Cell(layer_of[name]) for name in nodes}
    layers: list[list[_Cell]] = [[] for _ in range(max(layer_of.values(), default=-1) + 1)]
    for cell in cells.values():
        layers[cell.layer].append(cell)
    routes = {edge: _route(cells[edge[0]], cells[edge[1]], layers) for edge in wanted}
    for layer in layers:
        for row, cell in enumerate(layer):
            cell.row = row
    _order(layers)
    _place(layers)
    least = min((cell.row for layer in layers for cell in layer), default=0.0)
    most = max((cell.row for layer in layers for cell in layer), default=-1.0)
    return Layout(
        {name: (cell.layer, cell.row - least) for name, cell in cells.items()},
        {edge: [(cell.layer, cell.row - least) for cell in route] for edge, route in routes.items()},
        len(layers),
        most - least + 1,
    )


def _layers(nodes: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    """Each node one layer behind the last of those it takes from. What stands in a cycle is put where it is first met."""
    sources: dict[str, list[str]] = {name: [] for name in nodes}
    targets: dict[str, list[str]] = {name: [] for name in nodes}
    for source, target in edges:
        sources[target].append(source)
        targets[source].append(target)
    open_sources = {name: len(found) for name, found in sources.items()}
    ready = [name for name in nodes if open_sources[name] == 0]
    layer: dict[str, int] = {}
    for name in ready:  # grows while it is walked
        layer[name] = max((layer[s] + 1 for s in sources[name]), default=0)
        for target in targets[name]:
            open_sources[target] -= 1
            if open_sources[target] == 0:
                ready.append(target)
    for name in nodes:
        if not sources[name] and targets[name]:  # right before what takes from it, not at the far left
            layer[name] = min((layer.get(t, 1) for t in targets[name]), default=1) - 1
    return {name: max(0, layer.get(name, 0)) for name in nodes}


def _route(source: _Cell, target: _Cell, layers: list[list[_Cell]]) -> list[_Cell]:
    passed = [_Cell(n) for n in range(source.layer + 1, target.layer)]
    for cell in passed:
        layers[cell.layer].append(cell)
    route = [source, *passed, target]
    for a, b in itertools.pairwise(route):
        a.after.append(b)
        b.before.append(a)
    return route


def _order(layers: list[list[_Cell]]) -> None:
    """Sort each layer by the mean row of its neighbours, from left to right and back."""
    for sweep in range(ORDER_SWEEPS):
        forward = sweep % 2 == 0
        for layer in layers if forward else reversed(layers):
            layer.sort(key=lambda cell: _mean(cell.before if forward else cell.after, cell.row))
            for row, cell in enumerate(layer):
                cell.row = row


def _place(layers: list[list[_Cell]]) -> None:
    """Move each layer towards its neighbours; the order stays, and so does the distance of one row."""
    for sweep in range(PLACE_SWEEPS):
        forward = sweep % 2 == 0
        for layer in layers if forward else reversed(layers):
            wishes = [_mean(cell.before if forward else cell.after, cell.row) for cell in layer]
            for cell, row in zip(layer, _apart(wishes), strict=True):
                cell.row = row


def _apart(wishes: Sequence[float]) -> list[float]:
    """Rows in the same order, at least one apart, as near to the wishes as the least squares say (pool adjacent violators)."""
    blocks: list[list[float]] = []  # sum of wishes less their offset in the block, and how many
    for i, wish in enumerate(wishes):
        blocks.append([wish - i, 1.0])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] >= blocks[-1][0] / blocks[-1][1]:
            total, count = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += count
    rows: list[float] = []
    for total, count in blocks:
        rows += [total / count + len(rows) + k for k in range(int(count))]
    return rows


def _mean(cells: Sequence[_Cell], otherwise: float) -> float:
    return sum(cell.row for cell in cells) / len(cells) if cells else otherwise
