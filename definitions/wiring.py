"""The ops of a nested graph in one flat list: what each input is made from, what is mapped over what, in plan order.

Plan order is: levels of the graph one after the other, step keys sorted inside a level.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from ..engine.snapshot import OutputRef
from ..serdes.record import record
from .composition import Dependency, Node, Source
from .errors import DagsterInvalidDefinitionError
from .hooks import HookDefinition
from .retry_policy import RetryPolicy


class NestedGraph(Protocol):
    """What of a graph wiring needs."""

    kind: str
    node_dict: Mapping[str, Node]
    output_sources: Mapping[str, Source]


@record
class WiredInput:
    """What one input is made from. `sources` name the ops by path (until ``wire`` has put in their step keys).

    Attributes:
        sources: outputs of ops.
        fan_in: a list of several.
        collect: the list of all mapped values of its one source.
        graph_input: the input of the outermost graph that it stands for, or None.
        after: outputs of ops that have to be there before, without being taken.
    """

    sources: tuple[OutputRef, ...] = ()
    fan_in: bool = False
    collect: bool = False
    graph_input: str | None = None
    after: tuple[OutputRef, ...] = ()


@record
class WiredOp:
    """One op of the job.

    Attributes:
        path: its path in the graph (``sub.a``).
        key: its step key; a mapped one ends in ``[?]``.
        op: its definition.
        inputs: for inputs that are connected.
        mapped_over: the dynamic output each of whose mapping keys makes one step of it.
        tags: those of its use in the graph, over the definition's.
        retry_policy: of its use, of its definition, or of the graphs around it.
        hooks: of its use and of the graphs around it.
    """

    path: str
    key: str
    op: Any
    inputs: Mapping[str, WiredInput]
    mapped_over: OutputRef | None
    tags: Mapping[str, Any]
    retry_policy: RetryPolicy | None
    hooks: frozenset[HookDefinition] = frozenset()


def wire(graph: NestedGraph) -> tuple[WiredOp, ...]:
    """All ops of `graph`, in plan order. Takes time in proportion to the number of ops and connections.

    Raises:
        DagsterInvalidDefinitionError: an op depends on more than one dynamic output.
    """
    flat: dict[str, WiredOp] = {}
    _flatten(graph, "", {}, None, frozenset(), flat)
    wired: dict[str, WiredOp] = {}
    ordered: list[WiredOp] = []
    for level in _levels(flat):
        keyed = [_with_key(op, wired) for op in level]
        wired.update((op.path, op) for op in keyed)
        ordered += sorted(keyed, key=lambda op: op.key)
    return tuple(ordered)


def _flatten(
    graph: NestedGraph,
    prefix: str,
    outer: Mapping[str, WiredInput],
    retry: RetryPolicy | None,
    hooks: frozenset[HookDefinition],
    flat: dict[str, WiredOp],
) -> None:
    """Add the ops of `graph` to `flat`. `outer`: what the graph's own inputs are connected to."""
    for node in graph.node_dict.values():
        path = prefix + node.name
        inputs = {name: _resolve(dep, graph, prefix, outer) for name, dep in node.dependencies.items()}
        definition = node.definition
        if definition.kind == "graph":
            _flatten(definition, f"{path}.", inputs, node.retry_policy or retry, hooks | node.hook_defs, flat)
            continue
        policy = node.retry_policy or definition.retry_policy or retry
        tags = {**definition.tags, **node.tags} if node.tags else definition.tags
        flat[path] = WiredOp(path, path, definition, inputs, None, tags, policy, hooks | node.hook_defs)


def _resolve(dep: Dependency, graph: NestedGraph, prefix: str, outer: Mapping[str, WiredInput]) -> WiredInput:
    after = [_output(graph, prefix, source) for source in dep.after]
    if len(dep.sources) == 1 and dep.sources[0].node is None and not dep.fan_in:
        name = dep.sources[0].name
        # Of the outermost graph nothing is connected: the value comes from run config, Python, or an asset.
        found = outer.get(name, WiredInput() if prefix else WiredInput(graph_input=name))
        return replace(found, after=(*found.after, *after)) if after else found
    refs: list[OutputRef] = []
    for source in dep.sources:
        if source.node is None:
            around = outer.get(source.name, WiredInput())
            refs += around.sources
            after += around.after
        else:
            refs.append(_output(graph, prefix, source))
    return WiredInput(tuple(refs), fan_in=dep.fan_in, collect=dep.collect, after=tuple(after))


def _output(graph: NestedGraph, prefix: str, source: Source) -> OutputRef:
    """The op whose output this is: a graph's output is that of a node in it."""
    node = graph.node_dict[source.node or ""]
    path = prefix + node.name
    if node.definition.kind == "graph":
        return _output(node.definition, f"{path}.", node.definition.output_sources[source.name])
    return OutputRef(path, source.name)


def _levels(flat: Mapping[str, WiredOp]) -> Iterable[list[WiredOp]]:
    """The ops level by level: each after all that it takes something from."""
    waits: dict[str, int] = {}
    dependants: dict[str, list[str]] = {}
    for path, op in flat.items():
        sources = {ref.step for i in op.inputs.values() for ref in (*i.sources, *i.after)}
        waits[path] = len(sources)
        for source in sources:
            dependants.setdefault(source, []).append(path)
    level = [path for path, count in waits.items() if count == 0]
    while level:
        yield [flat[path] for path in level]
        following = []
        for path in level:
            for dependant in dependants.get(path, ()):
                waits[dependant] -= 1
                if waits[dependant] == 0:
                    following.append(dependant)
        level = following


def _with_key(op: WiredOp, wired: Mapping[str, WiredOp]) -> WiredOp:
    """The op with its step key, and its sources' keys. All that it takes something from is in `wired`."""
    over: OutputRef | None = None
    for spec in op.inputs.values():
        for ref in spec.sources:
            found = None if spec.collect else _dynamic(wired[ref.step], ref)
            if found is not None and over is not None and found != over:
                raise DagsterInvalidDefinitionError(
                    f"op '{op.op.name}' cannot be downstream of more than one dynamic output. "
                    f'It is downstream of both "{over.step}:{over.output}" and "{found.step}:{found.output}"'
                )
            over = found or over
    if over is None and all(wired[r.step].mapped_over is None for i in op.inputs.values() for r in i.sources):
        return op
    if over is not None and any(out.is_dynamic for out in op.op.output_dict.values()):
        dynamic = next(out.name for out in op.op.output_dict.values() if out.is_dynamic)
        raise DagsterInvalidDefinitionError(
            f"op '{op.path}' cannot be downstream of more than one dynamic output: it is mapped over "
            f'"{over.step}:{over.output}" and its own output "{dynamic}" is dynamic.'
        )
    inputs = {name: replace(i, sources=_keys(i.sources, wired)) for name, i in op.inputs.items()}
    return replace(op, key=f"{op.path}[?]" if over else op.path, inputs=inputs, mapped_over=over)


def _dynamic(source: WiredOp, ref: OutputRef) -> OutputRef | None:
    """The dynamic output that taking `ref` means to be mapped over, or None."""
    if source.mapped_over is not None:
        return source.mapped_over
    return OutputRef(source.key, ref.output) if source.op.output_dict[ref.output].is_dynamic else None


def _keys(sources: tuple[OutputRef, ...], wired: Mapping[str, WiredOp]) -> tuple[OutputRef, ...]:
    return tuple(OutputRef(wired[ref.step].key, ref.output) for ref in sources)
