"""Selection queries: which ops of a job a run is asked for, and which steps of an earlier run are run again.

``a`` one op; ``*`` all; ``*a`` with all before it, ``a*`` with all after it; ``+a``, ``++a``, ``a+`` with as many levels; several queries add up.
Among the job's own nodes a graph is one node; ``sub.a`` names an op in it, whose levels are ops.
Source: https://docs.dagster.io/api/dagster/jobs (op selection).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from ..definitions.errors import DagsterExecutionStepNotFoundError, DagsterInvalidSubsetError
from ..definitions.wiring import WiredOp
from ..engine.snapshot import StepPlan, template_key
from ..errors.suggest import nearest

_QUERY = re.compile(r"(?P<before>\*?\+*)(?P<name>[A-Za-z0-9_.\[\]?-]+)(?P<after>\+*\*?)")

Neighbours = Mapping[str, "set[str]"]


def select_ops(wiring: Sequence[WiredOp], queries: Sequence[str]) -> frozenset[str]:
    """Paths of the ops that `queries` mean. A path of a graph means all ops in it.

    Raises:
        DagsterInvalidSubsetError: a query that is none, or that names no op of the job.
    """
    path_of = {op.key: op.path for op in wiring}
    links = [
        (path_of[ref.step], op.path)
        for op in wiring
        for spec in op.inputs.values()
        for ref in (*spec.sources, *spec.after)
        if ref.step in path_of
    ]
    paths = [op.path for op in wiring]
    by_op = _neighbours(paths, links)
    by_node = _neighbours(map(_node, paths), [(_node(a), _node(b)) for a, b in links if _node(a) != _node(b)])
    selected: set[str] = set()
    for query in queries:
        if query.strip() == "*":
            return frozenset(paths)
        before, name, after = _parsed(query)
        named = {path for path in paths if path == name or path.startswith(f"{name}.")}
        if not named:
            raise DagsterInvalidSubsetError(
                f"No qualified ops to execute found for op_selection={list(queries)}: there is no op '{name}'.",
                nearest=nearest(name, paths),
            )
        if "." in name:
            selected |= named | _around(named, by_op, before, after)
        else:
            nodes = {name} | _around({name}, by_node, before, after)
            selected |= {path for path in paths if _node(path) in nodes}
    return frozenset(selected)


def select_steps(steps: Sequence[StepPlan], mapped: Iterable[str], queries: Sequence[str]) -> frozenset[str]:
    """Keys of the steps that `queries` mean.

    Args:
        steps: of the plan.
        mapped: keys of mapped steps that are known (``work[3]``); a query may name one.

    Raises:
        DagsterExecutionStepNotFoundError: a query names no step.
        DagsterInvalidSubsetError: a query that is none.
    """
    keys = [step.key for step in steps]
    links = [(ref.step, step.key) for step in steps for spec in step.inputs for ref in spec.sources if ref.step in keys]
    neighbours = _neighbours(keys, links)
    known = {*keys, *mapped}
    selected: set[str] = set()
    for query in queries:
        if query.strip() == "*":
            return frozenset(keys)
        before, name, after = _parsed(query)
        named = name if name in known else f"{name}[?]"
        if named not in known:
            raise DagsterExecutionStepNotFoundError(
                f"Step selection refers to unknown step: {name}", nearest=nearest(name, known)
            )
        template = named if named in keys else template_key(named)
        selected |= {named} | _around({template}, neighbours, before, after)
    return frozenset(selected)


def _parsed(query: str) -> tuple[str, str, str]:
    match = _QUERY.fullmatch(query.strip())
    if match is None:
        raise DagsterInvalidSubsetError(
            "this is not a selection query.", got=repr(query), expected="a name, with * or + before or after it"
        )
    return match["before"], match["name"], match["after"]


def _node(path: str) -> str:
    """The job's own node that an op belongs to."""
    return path.partition(".")[0]


def _neighbours(names: Iterable[str], links: Iterable[tuple[str, str]]) -> tuple[Neighbours, Neighbours]:
    """For each name, those right before it and those right after it."""
    before: dict[str, set[str]] = {name: set() for name in names}
    after: dict[str, set[str]] = {name: set() for name in before}
    for first, second in links:
        before[second].add(first)
        after[first].add(second)
    return before, after


def _around(start: set[str], neighbours: tuple[Neighbours, Neighbours], before: str, after: str) -> set[str]:
    """What stands before and after `start`, as far as the query says."""
    return _reach(start, neighbours[0], before) | _reach(start, neighbours[1], after)


def _reach(start: Iterable[str], neighbours: Neighbours, how: str) -> set[str]:
    """What can be reached from `start`: everything for ``*``, as many levels as there are ``+`` otherwise."""
    found: set[str] = set()
    edge = set(start)
    levels = len(neighbours) if "*" in how else len(how)
    while edge and levels:
        edge = {n for path in edge for n in neighbours[path]} - found
        found |= edge
        levels -= 1
    return found
