"""``@graph``: several ops with their dependencies, usable as one node.

Source: https://docs.dagster.io/api/dagster/graphs
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, TypeVar

from ..errors.suggest import nearest
from .composition import Composed, Node, PendingNode, Source, compose
from .errors import DagsterInvalidDefinitionError, DagsterInvalidInvocationError, DagsterInvariantViolationError
from .hooks import HookDefinition
from .ins_outs import GraphIn, GraphOut, In, InputDefinition, OutputDefinition, input_from
from .names import check_name
from .retry_policy import RetryPolicy
from .signature import signature_of
from .wiring import WiredOp, wire

G = TypeVar("G", bound="Graph")


class Graph:
    """A graph of ops and graphs. Users meet it as ``GraphDefinition`` (module ``job``), which can also be run.

    Attributes:
        name: its name.
        nodes: its nodes by name, in the order the body called them.
        output_sources: output name -> the node and output it comes from.
        tags: tags of the graph itself.
        config: run config of its nodes given here: a mapping, or a function of the graph's own config.
    """

    kind = "graph"

    def __init__(
        self,
        name: str,
        composed: Composed,
        inputs: Mapping[str, InputDefinition],
        *,
        description: str | None = None,
        tags: Mapping[str, Any] | None = None,
        config: Any = None,
        body: Callable[..., Any] | None = None,
    ) -> None:
        self.name = check_name(name)
        self.node_dict: Mapping[str, Node] = composed.nodes
        self.output_sources: Mapping[str, Source] = {n: source for n, (source, _) in composed.outputs.items()}
        self.description = description
        self.tags: Mapping[str, Any] = dict(tags or {})
        self.config = config
        self._ins = dict(inputs)
        self._outs = {n: self._output(n, source, dynamic) for n, (source, dynamic) in composed.outputs.items()}
        self._check_inputs()
        if body is not None:
            functools.update_wrapper(self, body, updated=())

    def _output(self, name: str, source: Source, dynamic: bool) -> OutputDefinition:
        if source.node is None:
            raise DagsterInvalidDefinitionError(
                f"graph '{self.name}' returns its own input '{source.name}' as output '{name}'.",
                expected="the output of an op called in it",
            )
        inner = self.node_dict[source.node].definition.output_dict[source.name]
        return OutputDefinition(name, inner.type, is_required=inner.is_required, is_dynamic=dynamic)

    def _check_inputs(self) -> None:
        used = {
            s.name
            for n in self.node_dict.values()
            for d in n.dependencies.values()
            for s in d.sources
            if s.node is None
        }
        for name in self._ins:
            if name not in used:
                raise DagsterInvalidDefinitionError(
                    f"@graph '{self.name}' decorated function has parameter '{name}' which is not used in the graph."
                )

    @property
    def input_dict(self) -> Mapping[str, InputDefinition]:
        """Its inputs by name, in order."""
        return self._ins

    @property
    def output_dict(self) -> Mapping[str, OutputDefinition]:
        """Its outputs by name, in order."""
        return self._outs

    @property
    def nodes(self) -> Sequence[Node]:
        """Its nodes."""
        return list(self.node_dict.values())

    def node_named(self, name: str) -> Node:
        """The node called `name`.

        Raises:
            DagsterInvariantViolationError: it has none.
        """
        try:
            return self.node_dict[name]
        except KeyError:
            raise DagsterInvariantViolationError(
                f"{self.name} has no op named {name}.", nearest=nearest(name, self.node_dict)
            ) from None

    def node_at(self, path: str) -> Node:
        """The node at `path` (``sub.a``)."""
        first, _, rest = path.partition(".")
        node = self.node_named(first)
        if not rest:
            return node
        if not isinstance(node.definition, Graph):
            raise DagsterInvariantViolationError(f"{first} is an op and has no nodes in it.", got=path)
        return node.definition.node_at(rest)

    @functools.cached_property
    def wiring(self) -> tuple[WiredOp, ...]:
        """All ops in it, in plan order, with what each input is made from."""
        return wire(self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Inside the body of a ``@job`` or ``@graph``: a node of it."""
        return PendingNode(self)(*args, **kwargs)

    def call_outside(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Refused: a graph has no function of its own.

        Raises:
            DagsterInvalidInvocationError: always.
        """
        raise DagsterInvalidInvocationError(
            f"graph '{self.name}' was called outside the body of a @job or @graph.",
            hint=f"To run it: {self.name}.execute_in_process() or {self.name}.to_job().",
        )

    def alias(self, name: str) -> PendingNode:
        """The graph under another name."""
        return PendingNode(self).alias(name)

    def tag(self, tags: Mapping[str, Any]) -> PendingNode:
        """The graph with more tags."""
        return PendingNode(self).tag(tags)

    def with_retry_policy(self, retry_policy: RetryPolicy) -> PendingNode:
        """The graph whose ops use this policy where they have none of their own."""
        return PendingNode(self).with_retry_policy(retry_policy)

    def with_hooks(self, hook_defs: AbstractSet[HookDefinition]) -> PendingNode:
        """The graph with hooks in the graph."""
        return PendingNode(self).with_hooks(hook_defs)

    def __repr__(self) -> str:
        return f"<graph {self.name}>"


def graph_of(
    make: type[G],
    kind: str,
    body: Callable[..., Any],
    name: str | None,
    *,
    description: str | None = None,
    ins: Mapping[str, GraphIn] | None = None,
    out: GraphOut | Mapping[str, GraphOut] | None = None,
    tags: Mapping[str, Any] | None = None,
    config: Any = None,
) -> G:
    """Run `body` once and return the graph it composed, as an object of `make`. `kind` is ``@job`` or ``@graph``, for messages.

    Raises:
        DagsterInvalidDefinitionError: the body connects what can not be connected, or the graph is not one.
    """
    name = name or body.__name__
    descriptions = {n: i.description for n, i in (ins or {}).items()}
    inputs = {
        p.name: input_from(p.name, In(description=descriptions.get(p.name)), p.annotation, p.default)
        for p in signature_of(body).inputs
    }
    declared = list(out) if isinstance(out, Mapping) else None
    composed = compose(f"{kind} {name}", body, list(inputs), declared)
    return make(name, composed, inputs, description=description or body.__doc__, tags=tags, config=config, body=body)
