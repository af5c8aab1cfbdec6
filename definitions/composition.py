"""What happens when an op is called inside the body of a ``@job`` or ``@graph``: a node with its dependencies is noted down.

Source: https://docs.dagster.io/guides/build/ops/dynamic-graphs and https://docs.dagster.io/api/dagster/graphs
"""

from __future__ import annotations

import threading
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import field
from typing import Any, Protocol

from ..serdes.record import record
from .errors import DagsterInvalidDefinitionError
from .hooks import HookDefinition, checked_hooks
from .ins_outs import InputDefinition, OutputDefinition
from .names import check_name
from .retry_policy import RetryPolicy


class Invocable(Protocol):
    """What can be a node of a graph: an op, or a graph."""

    name: str
    kind: str
    """``op`` or ``graph``."""

    @property
    def input_dict(self) -> Mapping[str, InputDefinition]:
        """Its inputs by name, in order."""

    @property
    def output_dict(self) -> Mapping[str, OutputDefinition]:
        """Its outputs by name, in order."""


@record
class Source:
    """Where an input comes from: the output of a sibling node, or (node None) an input of the graph around it."""

    node: str | None
    name: str


@record
class Dependency:
    """All that one input is made from. `fan_in`: a list of several. `collect`: the list of all mapped values of one. `after`: outputs
    that have to be there before, without being taken."""

    sources: tuple[Source, ...]
    fan_in: bool = False
    collect: bool = False
    after: tuple[Source, ...] = ()


@record
class Node:
    """One use of a definition in a graph, under its own name."""

    name: str
    definition: Any
    dependencies: Mapping[str, Dependency] = field(default_factory=dict)
    tags: Mapping[str, Any] = field(default_factory=dict)
    retry_policy: RetryPolicy | None = None
    hook_defs: frozenset[HookDefinition] = frozenset()


@record
class Wire:
    """What the call of an op returns while a graph is composed: one output that can be passed on."""

    composition: Composition
    source: Source
    label: str
    mapped: bool = False
    """Comes, directly or over other steps, from a dynamic output that was mapped."""


@record
class CollectedWire:
    """All values of a dynamic output, or of what was mapped over it, as one list."""

    wire: Wire


@record
class DynamicWire:
    """A dynamic output, or what was mapped over one. Pass it on by ``map`` or ``collect``."""

    wire: Wire

    def map(self, fn: Callable[[Any], Any]) -> Any:
        """Call `fn` with the output of *one* mapping key; what it calls runs once for each key."""
        result = fn(Wire(self.wire.composition, self.wire.source, self.wire.label, mapped=True))
        if result is None:
            return None
        if isinstance(result, DynamicWire):
            return result  # mapped twice: refused where the graph is wired, with the names of both dynamic outputs
        if isinstance(result, Wire):
            return DynamicWire(result)
        if isinstance(result, tuple) and all(isinstance(r, Wire) for r in result):
            wrapped: list[Any] = [DynamicWire(r) for r in result]
            return type(result)(*wrapped) if hasattr(result, "_fields") else tuple(wrapped)
        raise DagsterInvalidDefinitionError(
            f"Problematic output from map callback in {self.wire.composition.where}.",
            got=repr(type(result).__name__),
            expected="the outputs of the ops called in it, or None",
        )

    def collect(self) -> CollectedWire:
        """All of them as a list, for an input that takes a list."""
        return CollectedWire(self.wire)


class Composition:
    """The graph that a body is building."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.nodes: dict[str, Node] = {}
        self._next: dict[str, int] = {}

    def add(self, pending: PendingNode, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Note down one call and return what stands for its outputs."""
        definition: Invocable = pending.definition
        given = self._bind(definition, args, kwargs)
        name = self._name_for(pending)
        dependencies = {
            input_name: self._dependency(value, input_name, how, definition)
            for input_name, (value, how) in given.items()
        }
        mapped = any(self._is_mapped(value) for value, _ in given.values())
        self.nodes[name] = Node(name, definition, dependencies, pending.tags, pending.retry_policy, pending.hooks)
        return self._outputs(name, definition, mapped)

    def _bind(
        self, definition: Invocable, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> dict[str, tuple[Any, str]]:
        names = list(definition.input_dict)
        if len(args) > len(names):
            raise DagsterInvalidDefinitionError(
                f"In {self.where}, received too many inputs for invocation {definition.name}. "
                f"Only {len(names)} defined, received {len(args)}"
            )
        given = {n: (value, f"(at position {i})") for i, (n, value) in enumerate(zip(names, args, strict=False))}
        for name, value in kwargs.items():
            if name not in definition.input_dict:
                raise DagsterInvalidDefinitionError(
                    f'Invalid dependencies: {definition.kind} "{definition.name}" does not have input "{name}". '
                    f"Available inputs: {sorted(names)}"
                )
            given[name] = (value, "(passed by keyword)")
        return given

    def _name_for(self, pending: PendingNode) -> str:
        if pending.name is not None:
            if pending.name in self.nodes:
                raise DagsterInvalidDefinitionError(
                    f'In {self.where}, the name "{pending.name}" is given to two nodes. Give one another alias.'
                )
            return pending.name
        base = pending.definition.name
        number = self._next.get(base, 1)
        name = base if number == 1 else f"{base}_{number}"
        while name in self.nodes:
            number += 1
            name = f"{base}_{number}"
        self._next[base] = number + 1
        return name

    def _dependency(self, value: Any, input_name: str, how: str, definition: Invocable) -> Dependency:
        if isinstance(value, Wire):
            return Dependency((self._own(value).source,))
        if isinstance(value, CollectedWire):
            return Dependency((self._own(value.wire).source,), collect=True)
        if isinstance(value, list):
            return self._fan_in(value, input_name, how, definition)
        raise DagsterInvalidDefinitionError(self._refusal(value, input_name, how, definition))

    def _fan_in(self, values: list[Any], input_name: str, how: str, definition: Invocable) -> Dependency:
        for i, value in enumerate(values):
            if not isinstance(value, Wire):
                raise DagsterInvalidDefinitionError(
                    f"In {self.where}, received a list containing an invalid type at index {i} for input "
                    f'"{input_name}" {how} in {definition.kind} invocation {definition.name}. Lists can only contain '
                    f"the output from previous op invocations or input mappings, received {type(value)}"
                )
        return Dependency(tuple(self._own(v).source for v in values), fan_in=True)

    def _refusal(self, value: Any, input_name: str, how: str, definition: Invocable) -> str:
        if isinstance(value, DynamicWire):
            return (
                f"In {self.where}, received the dynamic output {value.wire.label} directly. "
                "Dynamic output must be unpacked by invoking map or collect."
            )
        if isinstance(value, tuple) and any(isinstance(v, (Wire, DynamicWire)) for v in value):
            return (
                f'In {self.where}, received a tuple of multiple outputs for input "{input_name}" {how} in '
                f'{definition.kind} invocation "{definition.name}". Must pass individual output, available from '
                f"tuple: {getattr(type(value), '_fields', '')}"
            )
        if isinstance(value, PendingNode) or hasattr(value, "input_dict"):
            kind, name = ("node", value.label) if isinstance(value, PendingNode) else (value.kind, value.name)
            return (
                f"In {self.where}, received an un-invoked {kind} '{name}'  for input \"{input_name}\" {how} in "
                f"{definition.kind} '{name}' invocation \"{definition.name}\". Did you forget parentheses?"
            )
        return (
            f'In {self.where}, received invalid type {type(value)} for input "{input_name}" {how} in '
            f'{definition.kind} invocation "{definition.name}". Must pass the output from previous node invocations or '
            "inputs to the composition function as inputs when invoking nodes during composition."
        )

    def _own(self, wire: Wire) -> Wire:
        if wire.composition is not self:
            raise DagsterInvalidDefinitionError(
                f"In {self.where}, received {wire.label}, which belongs to {wire.composition.where}. "
                "Pass it in as an input of the graph."
            )
        return wire

    def _is_mapped(self, value: Any) -> bool:
        if isinstance(value, list):
            return any(self._is_mapped(v) for v in value)
        return isinstance(value, Wire) and value.mapped

    def _outputs(self, node: str, definition: Invocable, mapped: bool) -> Any:
        wires = [self._output(node, definition, out, mapped) for out in definition.output_dict.values()]
        if not wires:
            return None
        if len(wires) == 1:
            return wires[0]
        return namedtuple(f"{definition.name}_outputs", list(definition.output_dict))(*wires)

    def _output(self, node: str, definition: Invocable, out: OutputDefinition, mapped: bool) -> Any:
        wire = Wire(self, Source(node, out.name), f"{out.name} from {definition.kind} '{node}'", mapped)
        return DynamicWire(wire) if out.is_dynamic else wire


class PendingNode:
    """A definition with an alias, tags or a retry policy of its own, still to be called."""

    def __init__(
        self,
        definition: Any,
        name: str | None = None,
        tags: Mapping[str, Any] | None = None,
        retry_policy: RetryPolicy | None = None,
        hooks: frozenset[HookDefinition] = frozenset(),
    ) -> None:
        self.definition = definition
        self.name = name
        self.tags = dict(tags or {})
        self.retry_policy = retry_policy
        self.hooks = hooks

    @property
    def label(self) -> str:
        """How messages call it."""
        return str(self.name or self.definition.name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """A node of the graph that is being composed; outside of one, the plain call of the definition."""
        composition = current()
        if composition is None:
            return self.definition.call_outside(args, kwargs)
        return composition.add(self, args, kwargs)

    def alias(self, name: str) -> PendingNode:
        """The same under another name."""
        return PendingNode(self.definition, check_name(name), self.tags, self.retry_policy, self.hooks)

    def tag(self, tags: Mapping[str, Any]) -> PendingNode:
        """The same with more tags."""
        return PendingNode(self.definition, self.name, {**self.tags, **tags}, self.retry_policy, self.hooks)

    def with_retry_policy(self, retry_policy: RetryPolicy) -> PendingNode:
        """The same with this retry policy."""
        return PendingNode(self.definition, self.name, self.tags, retry_policy, self.hooks)

    def with_hooks(self, hook_defs: AbstractSet[HookDefinition]) -> PendingNode:
        """The same with more hooks; on a graph they are those of all ops in it."""
        hooks = self.hooks | checked_hooks(hook_defs, self.label)
        return PendingNode(self.definition, self.name, self.tags, self.retry_policy, hooks)


class _Stack(threading.local):
    def __init__(self) -> None:
        self.open: list[Composition] = []


_stack = _Stack()


def current() -> Composition | None:
    """The composition whose body is running in this thread, if any."""
    return _stack.open[-1] if _stack.open else None


@record
class Composed:
    """What the body of a graph built."""

    nodes: Mapping[str, Node]
    outputs: Mapping[str, tuple[Source, bool]]
    """Output name -> (where it comes from, whether it is dynamic for the graph around)."""


def compose(where: str, fn: Callable[..., Any], inputs: Sequence[str], outputs: Sequence[str] | None) -> Composed:
    """Run the body `fn` of a graph and return what it built.

    Args:
        where: ``@job name`` or ``@graph name``, for messages.
        inputs: the names of the graph's inputs, which are the parameters of `fn`.
        outputs: the declared names of its outputs (none for a job); None: one called ``result`` if the body returns something.

    Raises:
        DagsterInvalidDefinitionError: the body connects what can not be connected.
    """
    composition = Composition(where)
    _stack.open.append(composition)
    try:
        returned = fn(**{n: Wire(composition, Source(None, n), f"input '{n}'") for n in inputs})
    finally:
        _stack.open.pop()
    return Composed(composition.nodes, _graph_outputs(where, returned, outputs))


def _graph_outputs(where: str, returned: Any, declared: Sequence[str] | None) -> dict[str, tuple[Source, bool]]:
    decorator, _, graph_name = where.partition(" ")
    if returned is None:
        found: dict[str, Any] = {}
    elif isinstance(returned, (Wire, DynamicWire)):
        found = {(declared[0] if declared else "result"): returned}
    elif isinstance(returned, Mapping):
        found = dict(returned)
    elif isinstance(returned, tuple):
        fields: Sequence[str] = getattr(type(returned), "_fields", ())
        names = declared or fields
        found = dict(zip(names, returned, strict=False))
    else:
        found = {"result": returned}
    for value in found.values():
        if not isinstance(value, (Wire, DynamicWire)):
            raise DagsterInvalidDefinitionError(
                f"{decorator} '{graph_name}' returned problematic value of type {type(value)}. Expected return value from "
                "invoked node or dict mapping output name to return values from invoked nodes"
            )
    if declared is not None and not declared and found:
        source = _graph_output(next(iter(found.values())))[0]
        raise DagsterInvalidDefinitionError(
            f"Returned a single output ({source.node}.{source.name}) in {decorator} '{graph_name}' but 0 outputs are defined. "
            "Return a dict to map defined outputs."
        )
    for name_ in declared or ():
        if name_ not in found:
            raise DagsterInvalidDefinitionError(
                f'{where} does not return its output "{name_}".', expected=", ".join(declared or ())
            )
    return {name_: _graph_output(value) for name_, value in found.items()}


def _graph_output(value: Wire | DynamicWire) -> tuple[Source, bool]:
    if isinstance(value, DynamicWire):
        return value.wire.source, True
    return value.source, value.mapped
