"""Op selection queries: which ops of a job a run is asked for.

``a`` one op; ``*`` all; ``*a`` with all before it, ``a*`` with all after it; ``+a``, ``++a``, ``a+`` with as many levels; several queries add up.
Source: https://docs.dagster.io/api/dagster/jobs (op selection).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from ..definitions.errors import DagsterInvalidSubsetError
from ..definitions.wiring import WiredOp
from ..errors.suggest import nearest

_QUERY = re.compile(r"(?P<before>\*|\+*)(?P<name>[A-Za-z0-9_.]+)(?P<after>\*|\+*)")

Neighbours = Mapping[str, "set[str]"]


def select_ops(wiring: Sequence[WiredOp], queries: Sequence[str]) -> frozenset[str]:
    """Paths of the ops that `queries` mean. A path of a graph means all ops in it.

    Raises:
        DagsterInvalidSubsetError: a query that is none, or that names no op of the job.
    """
    before, after = _neighbours(wiring)
    selected: set[str] = set()
    for query in queries:
        if query.strip() == "*":
            return frozenset(op.path for op in wiring)
        match = _QUERY.fullmatch(query.strip())
        if match is None:
            raise DagsterInvalidSubsetError(
                "this is not an op selection query.", got=repr(query), expected="a name, with * or + before or after it"
            )
        named = _named(wiring, match["name"], queries)
        selected |= named | _reach(named, before, match["before"]) | _reach(named, after, match["after"])
    return frozenset(selected)


def _named(wiring: Sequence[WiredOp], name: str, queries: Sequence[str]) -> set[str]:
    found = {op.path for op in wiring if op.path == name or op.path.startswith(f"{name}.")}
    if not found:
        raise DagsterInvalidSubsetError(
            f"No qualified ops to execute found for op_selection={list(queries)}: there is no op '{name}'.",
            nearest=nearest(name, [op.path for op in wiring]),
        )
    return found


def _neighbours(wiring: Sequence[WiredOp]) -> tuple[Neighbours, Neighbours]:
    """For each op path, the paths right before it and right after it."""
    path_of = {op.key: op.path for op in wiring}
    before: dict[str, set[str]] = {op.path: set() for op in wiring}
    after: dict[str, set[str]] = {op.path: set() for op in wiring}
    for op in wiring:
        for spec in op.inputs.values():
            for ref in spec.sources:
                before[op.path].add(path_of[ref.step])
                after[path_of[ref.step]].add(op.path)
    return before, after


def _reach(start: Iterable[str], neighbours: Neighbours, how: str) -> set[str]:
    """What can be reached from `start`: everything for ``*``, as many levels as there are ``+`` otherwise."""
    found: set[str] = set()
    edge = set(start)
    levels = len(neighbours) if how == "*" else len(how)
    while edge and levels:
        edge = {n for path in edge for n in neighbours[path]} - found
        found |= edge
        levels -= 1
    return found
