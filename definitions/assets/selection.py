"""``AssetSelection``: which assets, and which of their checks, are meant.

A selection is a description; ``resolve`` finds what it means in a graph of assets. Selections combine by ``|``, ``&`` and ``-``.
Source: https://docs.dagster.io/api/dagster/assets (AssetSelection)
"""

from __future__ import annotations

import fnmatch
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ...events.asset_key import AssetCheckKey, AssetKey
from ..errors import DagsterInvalidDefinitionError, DagsterInvalidSubsetError
from .assets_definition import AssetsDefinition
from .graph import AssetGraph, Neighbours
from .query import Attribute, Everything, Function, Join, Not, Query, parse
from .spec import DEFAULT_GROUP_NAME, KIND_PREFIX, AssetCheckSpec, AssetSpec, key_of

Keys = frozenset[AssetKey]


class AssetSelection(ABC):
    """Which assets are meant. Made by the class methods, from text by ``from_string``, and from others by operators and methods."""

    # Ways to make one -----------------------------------------------------------------------------------------------------

    @staticmethod
    def all(include_sources: bool = False) -> AssetSelection:
        """All assets; those that no code here makes only with `include_sources`."""
        return _Where("all assets", lambda _: True, include_sources)

    @staticmethod
    def keys(*asset_keys: Any) -> AssetSelection:
        """The assets of these keys (``"a/b"``, parts, or a key)."""
        return _Keys(tuple(key_of(key) for key in asset_keys))

    @staticmethod
    def assets(*assets_defs: Any) -> AssetSelection:
        """The assets of these definitions, specs or keys."""
        keys: list[AssetKey] = []
        for one in assets_defs:
            keys += sorted(one.keys) if isinstance(one, AssetsDefinition) else [key_of(one)]
        return _Keys(tuple(keys))

    @staticmethod
    def groups(*group_strs: str, include_sources: bool = False) -> AssetSelection:
        """The assets of these groups."""
        return _Where(f"groups {list(group_strs)}", lambda s: _group_of(s) in group_strs, include_sources)

    @staticmethod
    def key_prefixes(*key_prefixes: Any, include_sources: bool = False) -> AssetSelection:
        """The assets whose keys begin with one of these (text, or parts)."""
        prefixes = [AssetKey(p).path for p in key_prefixes]
        return _Where(f"key prefixes {prefixes}", lambda s: any(s.key.has_prefix(p) for p in prefixes), include_sources)

    @staticmethod
    def key_substring(key_substring: str, include_sources: bool = False) -> AssetSelection:
        """The assets whose keys, written ``a/b``, contain this text."""
        return _Where(
            f"keys with {key_substring!r}", lambda s: key_substring in s.key.to_user_string(), include_sources
        )

    @staticmethod
    def key_wildcard(key_wildcard: str, include_sources: bool = False) -> AssetSelection:
        """The assets whose keys, written ``a/b``, match a pattern in which ``*`` stands for any text."""
        return _Where(
            f"keys like {key_wildcard!r}",
            lambda s: fnmatch.fnmatchcase(s.key.to_user_string(), key_wildcard),
            include_sources,
        )

    @staticmethod
    def tag(key: str, value: str, include_sources: bool = False) -> AssetSelection:
        """The assets with this tag."""
        return _Where(f"tag {key}={value}", lambda s: s.tags.get(key) == value, include_sources)

    @staticmethod
    def tag_string(string: str, include_sources: bool = False) -> AssetSelection:
        """The assets with the tag that is written ``key=value``, or ``key`` for a tag without a value."""
        key, _, value = string.partition("=")
        return AssetSelection.tag(key, value, include_sources)

    @staticmethod
    def kind(kind: str | None, include_sources: bool = False) -> AssetSelection:
        """The assets of this kind; None: those of no kind."""
        if kind is None:
            return _Where("no kind", lambda s: not s.kinds, include_sources)
        return _Where(f"kind {kind}", lambda s: f"{KIND_PREFIX}{kind}" in s.tags, include_sources)

    @staticmethod
    def owner(owner: str | None, include_sources: bool = False) -> AssetSelection:
        """The assets of this owner; None: those of nobody."""
        if owner is None:
            return _Where("no owner", lambda s: not s.owners, include_sources)
        return _Where(f"owner {owner}", lambda s: owner in s.owners, include_sources)

    @staticmethod
    def checks_for_assets(*assets_defs: Any) -> AssetSelection:
        """The checks of these assets, without the assets."""
        return _ChecksOf(AssetSelection.assets(*assets_defs))

    @staticmethod
    def all_asset_checks() -> AssetSelection:
        """All checks, without the assets."""
        return _ChecksOf(None)

    @staticmethod
    def checks(*asset_checks: Any) -> AssetSelection:
        """These checks: definitions, specs or keys."""
        keys: list[AssetCheckKey] = []
        for one in asset_checks:
            if isinstance(one, AssetsDefinition):
                keys += [spec.key for spec in one.check_specs]
            else:
                keys.append(one.key if isinstance(one, AssetCheckSpec) else one)
        return _Checks(tuple(keys))

    @staticmethod
    def from_string(string: str, include_sources: bool = False) -> AssetSelection:
        """The selection that a query means: ``a``, ``*a``, ``++a+``, ``group:g``, ``key:"a" and not tag:"t"``, ...

        Raises:
            DagsterInvalidSubsetError: it is no query.
        """
        return _of_query(parse(string), include_sources)

    @staticmethod
    def from_coercible(selection: Any) -> AssetSelection:
        """The selection that a user gave: one, a query, or a list of queries, keys, assets, which add up.

        Raises:
            DagsterInvalidDefinitionError: it is none.
        """
        if isinstance(selection, AssetSelection):
            return selection
        if isinstance(selection, str):
            return AssetSelection.from_string(selection)
        if isinstance(selection, (AssetsDefinition, AssetKey, AssetSpec)):
            return AssetSelection.assets(selection)
        if isinstance(selection, Iterable):
            parts = [_part(one) for one in selection]
            if parts:
                return _any_of(parts)
            return _Keys(())
        raise DagsterInvalidDefinitionError(
            "selection argument must be one of str, Sequence[str], Sequence[AssetKey], Sequence[AssetsDefinition], "
            f"Sequence[SourceAsset], AssetSelection. Was {type(selection)}."
        )

    # Ways to make one of others -------------------------------------------------------------------------------------------

    def upstream(self, depth: int | None = None, include_self: bool = True) -> AssetSelection:
        """What these are made from, `depth` levels of it (None: all), and these unless `include_self` is false."""
        return _Reach(self, "upstream", depth, include_self)

    def downstream(
        self, depth: int | None = None, include_self: bool = True, include_sources: bool = False
    ) -> AssetSelection:
        """What is made from these, `depth` levels of it (None: all), and these unless `include_self` is false."""
        return _Reach(self, "downstream", depth, include_self)

    def roots(self) -> AssetSelection:
        """Those of them that are made from none of the others."""
        return _Ends(self, "upstream")

    def sinks(self) -> AssetSelection:
        """Those of them from which none of the others is made."""
        return _Ends(self, "downstream")

    def sources(self) -> AssetSelection:
        """As ``roots`` (the older name)."""
        return self.roots()

    def upstream_source_assets(self) -> AssetSelection:
        """The assets right before these that no code here makes."""
        return _UpstreamSources(self)

    def materializable(self) -> AssetSelection:
        """Those of them that some code here makes."""
        return _Executable(self)

    def required_multi_asset_neighbors(self) -> AssetSelection:
        """These, and all that is made together with them by code that can not make a part."""
        return _Neighbours(self)

    def without_checks(self) -> AssetSelection:
        """The same without any check."""
        return _WithoutChecks(self)

    def __or__(self, other: AssetSelection) -> AssetSelection:
        return _Both("|", self, other)

    def __and__(self, other: AssetSelection) -> AssetSelection:
        return _Both("&", self, other)

    def __sub__(self, other: AssetSelection) -> AssetSelection:
        return _Both("-", self, other)

    # What it means --------------------------------------------------------------------------------------------------------

    def resolve(self, all_assets: Any) -> set[AssetKey]:
        """The keys that are meant.

        Args:
            all_assets: a graph, or the assets and specs that there are.

        Raises:
            DagsterInvalidSubsetError: a key that is not there.
        """
        return set(self.resolve_keys(_graph_of(all_assets)))

    def resolve_checks(self, asset_graph: Any) -> set[AssetCheckKey]:
        """The checks that are meant: unless it says otherwise, all checks of its assets."""
        return set(self.resolve_check_keys(_graph_of(asset_graph)))

    @abstractmethod
    def resolve_keys(self, graph: AssetGraph) -> Keys:
        """The keys that are meant, in `graph`."""

    def resolve_check_keys(self, graph: AssetGraph) -> frozenset[AssetCheckKey]:
        """The checks that are meant, in `graph`."""
        keys = self.resolve_keys(graph)
        return frozenset(key for key in graph.check_specs if key.asset_key in keys)


def _part(one: Any) -> AssetSelection:
    if isinstance(one, AssetSelection):
        return one
    return AssetSelection.from_string(one) if isinstance(one, str) else AssetSelection.assets(one)


def _any_of(parts: Sequence[AssetSelection]) -> AssetSelection:
    found = parts[0]
    for part in parts[1:]:
        found = found | part
    return found


def _graph_of(given: Any) -> AssetGraph:
    if isinstance(given, AssetGraph):
        return given
    return AssetGraph(AssetsDefinition.from_anything(one) for one in given)


def _group_of(spec: AssetSpec) -> str:
    return spec.group_name or DEFAULT_GROUP_NAME


@dataclass(frozen=True)
class _Where(AssetSelection):
    label: str
    fits: Callable[[AssetSpec], bool]
    include_sources: bool

    def resolve_keys(self, graph: AssetGraph) -> Keys:
        return frozenset(
            key
            for key, spec in graph.specs.items()
            if (self.include_sources or key in graph.executable_keys) and self.fits(spec)
        )


@dataclass(frozen=True)
class _Keys(AssetSelection):
    given: tuple[AssetKey, ...]

    def resolve_keys(self, graph: AssetGraph) -> Keys:
        return graph.known(self.given)


@dataclass(frozen=True)
class _Checks(AssetSelection):
    given: tuple[AssetCheckKey, ...]

    def resolve_keys(self, graph: AssetGraph) -> Keys:
        return frozenset()

    def resolve_check_keys(self, graph: AssetGraph) -> frozenset[AssetCheckKey]:
        lost = [key for key in self.given if key not in graph.check_specs]
        if lost:
            raise DagsterInvalidSubsetError(
                f"AssetCheckKey(s) {[key.to_user_string() for key in lost]} were selected, but no definitions supply these keys."
            )
        return frozenset(self.given)


@dataclass(frozen=True)
class _ChecksOf(AssetSelection):
    of: AssetSelection | None

    def resolve_keys(self, graph: AssetGraph) -> Keys:
        return frozenset()

    def resolve_check_keys(self, graph: AssetGraph) -> frozenset[AssetCheckKey]:
        if self.of is None:
            return frozenset(graph.check_specs)
        return self.of.resolve_check_keys(graph)


@dataclass(frozen=True)
class _WithoutChecks(AssetSelection):
    of: AssetSelection

    def resolve_keys(self, graph: AssetGraph) -> Keys:
        return self.of.resolve_keys(graph)

    def resolve_check_keys(self, graph: AssetGraph) -> frozenset[AssetCheckKey]:
        return frozenset()


@dataclass(frozen=True)
class _Reach(AssetSelection):
    of: AssetSelection
    way: str
    depth: int | None
    include_self: bool

    def resolve_keys(self, graph: AssetGraph) -> Keys:
        start = self.of.resolve_keys(graph)
        found = start | _reach(start, getattr(graph, self.way), self.depth)
        # What is behind a source asset is not ours to make; a source is there only when it was named itself.
        found = frozenset(key for key in found if key in graph.executable_keys or key in start)
        return found if self.include_self else found - start


@dataclass(frozen=True)
class _Ends(AssetSelection):
    of: AssetSelection
    way: str

    def resolve_keys(self, graph: AssetGraph) -> Keys:
        found = self.of.resolve_keys(graph)
        neighbours: Neighbours = getattr(graph, self.way)
        return frozenset(key for key in found if not _reach({key}, neighbours, None) & found)


@dataclass(frozen=True)
class _UpstreamSources(AssetSelection):
    of: AssetSelection

    def resolve_keys(self, graph: AssetGraph) -> Keys:
        before = _reach(self.of.resolve_keys(graph), graph.upstream, 1)
        return before - graph.executable_keys


@dataclass(frozen=True)
class _Executable(AssetSelection):
    of: AssetSelection

    def resolve_keys(self, graph: AssetGraph) -> Keys:
        return self.of.resolve_keys(graph) & graph.executable_keys


@dataclass(frozen=True)
class _Neighbours(AssetSelection):
    of: AssetSelection

    def resolve_keys(self, graph: AssetGraph) -> Keys:
        found = set(self.of.resolve_keys(graph))
        for key in list(found):
            maker = graph.makers.get(key)
            if maker is not None and not maker.can_subset:
                found |= maker.keys
        return frozenset(found)


@dataclass(frozen=True)
class _Both(AssetSelection):
    operator: str
    left: AssetSelection
    right: AssetSelection

    def resolve_keys(self, graph: AssetGraph) -> Keys:
        return self._of(self.left.resolve_keys(graph), self.right.resolve_keys(graph))

    def resolve_check_keys(self, graph: AssetGraph) -> frozenset[AssetCheckKey]:
        return self._of(self.left.resolve_check_keys(graph), self.right.resolve_check_keys(graph))

    def _of(self, left: frozenset[Any], right: frozenset[Any]) -> frozenset[Any]:
        if self.operator == "|":
            return left | right
        return left & right if self.operator == "&" else left - right


def _reach(start: Iterable[AssetKey], neighbours: Neighbours, depth: int | None) -> Keys:
    found: set[AssetKey] = set()
    edge = set(start)
    levels = len(neighbours) if depth is None else depth
    while edge and levels > 0:
        edge = {key for one in edge for key in neighbours.get(one, ())} - found
        found |= edge
        levels -= 1
    return frozenset(found)


def _of_query(tree: Query, include_sources: bool) -> AssetSelection:
    if isinstance(tree, Everything):
        return AssetSelection.all(include_sources)
    if isinstance(tree, Attribute):
        return _of_attribute(tree, include_sources)
    if isinstance(tree, Not):
        return AssetSelection.all(include_sources) - _of_query(tree.of, include_sources)
    if isinstance(tree, Join):
        left, right = _of_query(tree.left, include_sources), _of_query(tree.right, include_sources)
        return left & right if tree.operator == "and" else left | right
    found = _of_query(tree.of, include_sources)
    if isinstance(tree, Function):
        return found.roots() if tree.name == "roots" else found.sinks()
    if tree.up == 0:
        return found.downstream(tree.down)
    if tree.down == 0:
        return found.upstream(tree.up)
    return found.upstream(tree.up) | found.downstream(tree.down)


def _of_attribute(tree: Attribute, include_sources: bool) -> AssetSelection:
    name, value = tree.name, tree.value
    if name == "kind":
        return AssetSelection.kind(value, include_sources)
    if name == "owner":
        return AssetSelection.owner(value, include_sources)
    if name == "group":
        return AssetSelection.groups(value or DEFAULT_GROUP_NAME, include_sources=include_sources)
    if name == "tag":
        return AssetSelection.tag(value or "", tree.tag_value, include_sources)
    if name == "key" and value is not None:
        return AssetSelection.key_wildcard(value, include_sources) if "*" in value else AssetSelection.keys(value)
    if name == "key_substring" and value is not None:
        return AssetSelection.key_substring(value, include_sources)
    raise DagsterInvalidSubsetError(
        f"the attribute '{name}' of an asset selection query is not supported in this version.", got=f"{name}:{value}"
    )
