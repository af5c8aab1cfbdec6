"""From assets to a job: each definition becomes a node, each asset that another takes a connection.

What is made from an asset that the job does not make loads it, by an input of the job's graph. What is downstream of a blocking check
of an asset comes after the check.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from ...errors.suggest import nearest
from ...events.asset_key import AssetCheckKey, AssetKey, check_texts, texts
from ..composition import Composed, Dependency, Node, Source
from ..errors import DagsterInvalidDefinitionError, DagsterInvalidSubsetError
from ..executor_definition import ExecutorDefinition
from ..hooks import HookDefinition
from ..ins_outs import DEFAULT_IO_MANAGER, InputDefinition
from ..job import GraphDefinition, JobDefinition
from ..names import check_name
from ..resources import resource_definition
from ..retry_policy import RetryPolicy
from ..step_assets import AssetSource, JobAssets
from .assets_definition import AssetsDefinition
from .graph import AssetGraph
from .layer import AssetLayer
from .refusals import refuse_later
from .selection import AssetSelection
from .spec import DEFAULT_GROUP_NAME, IO_MANAGER_METADATA, KIND_PREFIX


def build_asset_job(
    name: str,
    graph: AssetGraph,
    keys: Iterable[AssetKey],
    check_keys: Iterable[AssetCheckKey],
    *,
    resource_defs: Mapping[str, Any] | None = None,
    **options: Any,
) -> JobDefinition:
    """The job that makes some assets and evaluates some checks.

    Args:
        graph: all assets that are known: what the job does not make is loaded from where these say.
        resource_defs: over those that came with the assets.
        **options: of ``JobDefinition``.

    Raises:
        DagsterInvalidSubsetError: some code makes all of its assets or none, and a part is asked for.
        DagsterInvalidDefinitionError: two assets bring different resources of one key; steps would wait for each other.
    """
    assets = _Part(name, graph, frozenset(keys), frozenset(check_keys))
    given = {**_resources_of(assets.definitions, graph), **(resource_defs or {})}
    return JobDefinition(assets.job_graph, name, resource_defs=given, assets=assets.layer, **options)


@dataclass
class _Part:
    """Some assets and checks of a graph, as the nodes and connections of a job's graph."""

    name: str
    graph: AssetGraph
    keys: frozenset[AssetKey]
    check_keys: frozenset[AssetCheckKey]
    definitions: dict[str, AssetsDefinition] = field(default_factory=dict)
    sources: dict[str, AssetSource] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for definition in self._subsets():
            self.definitions[self._node_name(definition)] = definition
        self._made = {
            key: Source(node, output)
            for node, definition in self.definitions.items()
            for output, key in definition.keys_by_output_name.items()
        }
        self._blocking = self._blocking_checks()
        nodes = {
            name: Node(name, d.node_def, self._dependencies(name, d), hook_defs=d.hook_defs)
            for name, d in self.definitions.items()
        }
        self.job_graph = GraphDefinition(self.name, Composed(nodes, {}), self._inputs())
        _refuse_circles(self.job_graph)
        wiring = {op.path: op for op in self.job_graph.wiring}
        self.layer = _PartOfJob(self.definitions, self.sources, wiring, whole=self)

    def _subsets(self) -> Iterable[AssetsDefinition]:
        for definition in self.graph.definitions:
            if not definition.is_executable:
                continue
            wanted = definition.keys & self.keys
            checks = definition.check_keys & self.check_keys
            if wanted or (checks and (definition.can_subset or not definition.keys)):
                yield definition.subset_for(wanted, checks)
            elif checks:
                definition.subset_for(wanted, checks)  # raises: its checks come with its assets

    def _node_name(self, definition: AssetsDefinition) -> str:
        base = str(definition.node_def.name)
        name, number = base, 1
        while name in self.definitions:
            number += 1
            name = f"{base}_{number}"
        return name

    def _blocking_checks(self) -> dict[AssetKey, list[Source]]:
        """By asset, the outputs of blocking checks that other code evaluates than makes the asset."""
        found: dict[AssetKey, list[Source]] = {}
        for node, definition in self.definitions.items():
            selected = definition.check_keys
            for output, spec in definition.checks_by_output.items():
                made = self._made.get(spec.asset_key)
                if spec.blocking and spec.key in selected and (made is None or made.node != node):
                    found.setdefault(spec.asset_key, []).append(Source(node, output))
        return found

    def _dependencies(self, node: str, definition: AssetsDefinition) -> dict[str, Dependency]:
        found: dict[str, Dependency] = {}
        checked = set() if definition.keys else {spec.asset_key for spec in definition.check_specs}
        for name, key in definition.keys_by_input_name.items():
            # Checks of the asset look at it as it is; whatever else takes it waits for those that block.
            after = () if key in checked else tuple(s for s in self._blocking.get(key, ()) if s.node != node)
            made = self._made.get(key)
            if made is not None and made.node != node:
                found[name] = Dependency((made,), after=after)
            elif not definition.node_def.input_dict[name].type.is_nothing:
                found[name] = Dependency((Source(None, self._source(key)),), after=after)
            elif after:
                found[name] = Dependency((), after=after)
        return found

    def _source(self, key: AssetKey) -> str:
        """The input of the job's graph that is this asset."""
        name = key.to_python_identifier()
        if name not in self.sources:
            maker = self.graph.makers.get(key)
            manager, output, metadata = DEFAULT_IO_MANAGER, "result", {}
            if maker is not None:
                manager = maker.get_io_manager_key_for_asset_key(key)
                metadata = dict(maker.specs_by_key[key].metadata)
                output = maker.get_output_name_for_asset_key(key) if maker.is_executable else output
            self.sources[name] = AssetSource(key, manager, output, {**metadata, IO_MANAGER_METADATA: manager})
        return name

    def _inputs(self) -> dict[str, InputDefinition]:
        return {name: InputDefinition(name) for name in self.sources}


@dataclass(frozen=True)
class _PartOfJob(AssetLayer, JobAssets):
    """The assets of a job that can be made a smaller one."""

    whole: _Part | None = None

    @property
    def has_any(self) -> bool:
        """See ``JobAssets``."""
        return True

    @property
    def inputs(self) -> frozenset[str]:
        """See ``JobAssets``."""
        return frozenset(self.sources)

    def part(self, keys: Sequence[str] | None, check_keys: Sequence[str] | None) -> tuple[Any, JobAssets]:
        """See ``JobAssets``."""
        assert self.whole is not None
        whole = self.whole
        wanted = frozenset(AssetKey.from_user_string(key) for key in keys or ())
        unknown = sorted(key.to_user_string() for key in wanted - whole.keys)
        if unknown:
            known = [key.to_user_string() for key in whole.keys]
            raise DagsterInvalidSubsetError(
                f"Assets provided in asset_selection argument {unknown[0]} do not exist in parent asset group or job "
                f"'{whole.name}'.",
                nearest=nearest(unknown[0], known),
            )
        if check_keys is None:
            checks = frozenset(key for key in whole.check_keys if key.asset_key in wanted)
        else:
            checks = frozenset(map(AssetCheckKey.from_user_string, check_keys)) & whole.check_keys
        made = _Part(whole.name, whole.graph, wanted, checks)
        return made.job_graph, made.layer

    def meant_by(self, query: str) -> tuple[Sequence[str], Sequence[str]]:
        """See ``JobAssets``."""
        assert self.whole is not None
        chosen = _of_queries(query)
        keys = chosen.resolve_keys(self.whole.graph) & self.whole.keys
        checks = chosen.resolve_check_keys(self.whole.graph) & self.whole.check_keys
        if not keys and not checks:
            raise DagsterInvalidSubsetError(
                f"no asset of job '{self.whole.name}' is meant by this selection.",
                got=query,
                hint="`runplane asset list` shows the assets that there are.",
            )
        return texts(keys), check_texts(checks)

    def described(self, query: str | None) -> list[dict[str, Any]]:
        """See ``JobAssets``."""
        assert self.whole is not None
        graph = self.whole.graph
        keys = graph.specs if query is None else _of_queries(query).resolve_keys(graph)
        return [_described(graph, key) for key in sorted(keys) if key in graph.specs]


def _of_queries(text: str) -> AssetSelection:
    """Several queries with commas add up."""
    return AssetSelection.from_coercible([query.strip() for query in text.split(",") if query.strip()])


def _described(graph: AssetGraph, key: AssetKey) -> dict[str, Any]:
    spec = graph.specs[key]
    return {
        "key": key.to_escaped_user_string(),
        "group": spec.group_name or DEFAULT_GROUP_NAME,
        "kinds": tuple(sorted(spec.kinds)),
        "owners": spec.owners,
        "tags": {name: value for name, value in spec.tags.items() if not name.startswith(KIND_PREFIX)},
        "description": spec.description,
        "deps": texts(dep.asset_key for dep in spec.deps),
        "checks": tuple(sorted(check.name for check in graph.checks_of(key))),
        "is_executable": key in graph.executable_keys,
    }


def _refuse_circles(graph: GraphDefinition) -> None:
    ops = sum(1 for _ in _ops_in(graph))
    if len(graph.wiring) < ops:
        placed = {op.path for op in graph.wiring}
        waiting = sorted(path for path in _ops_in(graph) if path not in placed)
        raise DagsterInvalidDefinitionError(
            "steps of this job wait for each other: one function makes both an asset and what is made from it over another "
            "function.",
            got=", ".join(waiting),
            hint="Make them in two functions.",
        )


def _ops_in(graph: Any, prefix: str = "") -> Iterable[str]:
    for node in graph.node_dict.values():
        if node.definition.kind == "graph":
            yield from _ops_in(node.definition, f"{prefix}{node.name}.")
        else:
            yield prefix + node.name


def _resources_of(definitions: Mapping[str, AssetsDefinition], graph: AssetGraph) -> dict[str, Any]:
    """The resources that came with the assets, and with those that are loaded.

    Raises:
        DagsterInvalidDefinitionError: two bring different ones under one key.
    """
    found: dict[str, Any] = {}
    external = [d for d in graph.definitions if not d.is_executable]
    for definition in [*definitions.values(), *external]:
        for key, given in definition.resource_defs.items():
            if key in found and found[key] is not given:
                raise DagsterInvalidDefinitionError(
                    f"Conflicting versions of resource with key '{key}' were provided to different assets. When "
                    "constructing a job, all resource definitions provided to assets must match by reference equality for "
                    "a given key."
                )
            found[key] = given
    return {key: resource_definition(key, given) for key, given in found.items()}


class UnresolvedAssetJobDefinition:
    """A job of assets that are known by a selection only; ``Definitions`` makes it a job. Made by ``define_asset_job``.

    Attributes:
        name: its name.
        selection: which assets, and which checks.
    """

    def __init__(self, name: str, selection: AssetSelection, options: Mapping[str, Any]) -> None:
        self.name = name
        self.selection = selection
        self._options = options

    @property
    def description(self) -> str | None:
        """For people."""
        found: str | None = self._options.get("description")
        return found

    @property
    def tags(self) -> Mapping[str, Any]:
        """Its tags, as given."""
        return self._options.get("tags") or {}

    def resolve(
        self,
        *,
        asset_graph: AssetGraph,
        resource_defs: Mapping[str, Any] | None = None,
        default_executor_def: ExecutorDefinition | None = None,
    ) -> JobDefinition:
        """The job.

        Raises:
            DagsterInvalidDefinitionError: the selection can not be resolved, or means what can not be made.
        """
        try:
            keys = self.selection.resolve_keys(asset_graph)
            checks = self.selection.resolve_check_keys(asset_graph)
            external = sorted(key.to_user_string() for key in keys - asset_graph.executable_keys)
            if external:
                raise DagsterInvalidSubsetError("no code here makes these assets.", got=", ".join(external))
            options = dict(self._options)
            options["executor_def"] = options.get("executor_def") or default_executor_def
            return build_asset_job(self.name, asset_graph, keys, checks, resource_defs=resource_defs, **options)
        except DagsterInvalidSubsetError as error:
            raise DagsterInvalidDefinitionError(
                f"Error resolving selection for asset job '{self.name}': {error}"
            ) from error

    def __repr__(self) -> str:
        return f"<asset job {self.name}>"


def define_asset_job(
    name: str,
    selection: Any = None,
    config: Any = None,
    description: str | None = None,
    tags: Mapping[str, Any] | None = None,
    run_tags: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    partitions_def: None = None,
    executor_def: ExecutorDefinition | None = None,
    hooks: AbstractSet[HookDefinition] | None = None,
    op_retry_policy: RetryPolicy | None = None,
    owners: Sequence[str] | None = None,
) -> UnresolvedAssetJobDefinition:
    """A job that makes some assets. Give it to ``Definitions(jobs=[...])`` beside the assets.

    Args:
        name: its name.
        selection: which assets: an ``AssetSelection``, a query, or a list of queries, keys or assets; not given: all.
        config, description, tags, run_tags, metadata, executor_def, hooks, op_retry_policy, owners: as of ``@job``.
        partitions_def: not supported yet; refused unless None.

    Raises:
        UnsupportedError: an argument that comes in a later version.
        DagsterInvalidSubsetError: a query that is none.
    """
    refuse_later(f"define_asset_job('{name}')", partitions_def=partitions_def)
    options = {
        "config": config,
        "description": description,
        "tags": tags,
        "run_tags": run_tags,
        "metadata": {**(metadata or {}), **({"owners": list(owners)} if owners else {})},
        "executor_def": executor_def,
        "hooks": hooks,
        "op_retry_policy": op_retry_policy,
    }
    chosen = AssetSelection.all() if selection is None else AssetSelection.from_coercible(selection)
    return UnresolvedAssetJobDefinition(check_name(name), chosen, options)
