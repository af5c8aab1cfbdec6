"""``AssetsDefinition``: one or more assets, and the op or graph that makes them; or assets that no code here makes.

Source: https://docs.dagster.io/api/dagster/assets (AssetsDefinition)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any

from ...errors.suggest import nearest
from ...events.asset_key import AssetCheckKey, AssetKey
from ..composition import PendingNode
from ..errors import DagsterInvalidDefinitionError, DagsterInvariantViolationError
from ..hooks import HookDefinition, checked_hooks
from ..ins_outs import DEFAULT_IO_MANAGER
from ..job import GraphDefinition
from ..op import OpDefinition
from .nodes import NodeAssets, assets_of_node, ops_of, output_of_node
from .refusals import refuse_later_of
from .selected_assets import SelectedAssets
from .source_asset import SourceAsset
from .spec import (
    DEFAULT_GROUP_NAME,
    IO_MANAGER_METADATA,
    AssetCheckSpec,
    AssetDep,
    AssetSpec,
    key_of,
    replace_check,
)


@dataclass(frozen=True, eq=False)
class AssetsDefinition(SelectedAssets):
    """Some assets and checks, and what makes them.

    Made by ``@asset``, ``@multi_asset``, ``@graph_asset``, ``@asset_check``, ``from_op`` or ``from_graph``.

    Attributes:
        node: the op or graph; None for assets that no code here makes.
        specs_by_key: what is said of each asset, all of them.
        keys_by_output: which asset an output of the node is.
        checks_by_output: which check an output of the node is.
        keys_by_input: which asset an input of the node takes.
        resource_defs: resources that came with it.
        can_subset: whether the node can make some of its assets only.
        selected: the assets that a run makes; None: all.
        selected_checks: the checks that a run evaluates; None: all.
        io_manager_keys: of external assets, the IO manager that loads them.
        hook_defs: hooks of the op, or of all ops of the graph.
    """

    node: Any
    specs_by_key: Mapping[AssetKey, AssetSpec]
    keys_by_output: Mapping[str, AssetKey] = field(default_factory=dict)
    checks_by_output: Mapping[str, AssetCheckSpec] = field(default_factory=dict)
    keys_by_input: Mapping[str, AssetKey] = field(default_factory=dict)
    resource_defs: Mapping[str, Any] = field(default_factory=dict)
    can_subset: bool = False
    selected: frozenset[AssetKey] | None = None
    selected_checks: frozenset[AssetCheckKey] | None = None
    io_manager_keys: Mapping[AssetKey, str] = field(default_factory=dict)
    hook_defs: frozenset[HookDefinition] = frozenset()

    # Ways to make one -----------------------------------------------------------------------------------------------------

    @staticmethod
    def from_anything(given: Any) -> AssetsDefinition:
        """What a user put among assets: a definition, a spec, a source asset.

        Raises:
            DagsterInvalidDefinitionError: it is none of these.
        """
        if isinstance(given, AssetsDefinition):
            return given
        spec = given if isinstance(given, AssetSpec) else getattr(given, "spec", None)
        if isinstance(spec, AssetSpec):
            key = getattr(given, "io_manager_key", None) or spec.metadata.get(IO_MANAGER_METADATA)
            return AssetsDefinition(
                None,
                {spec.key: spec},
                io_manager_keys={spec.key: key} if key else {},
                resource_defs=getattr(given, "resource_defs", {}),
            )
        raise DagsterInvalidDefinitionError(
            "this is no asset.",
            got=type(given).__name__,
            expected="what @asset makes, an AssetSpec or a SourceAsset",
            hint="Jobs, schedules and checks have arguments of their own.",
        )

    @staticmethod
    def from_op(
        op_def: OpDefinition,
        *,
        keys_by_input_name: Mapping[str, AssetKey] | None = None,
        keys_by_output_name: Mapping[str, AssetKey] | None = None,
        key_prefix: str | Sequence[str] | None = None,
        internal_asset_deps: Mapping[str, AbstractSet[AssetKey]] | None = None,
        partitions_def: None = None,
        group_name: str | None = None,
        resource_defs: Mapping[str, Any] | None = None,
        metadata_by_output_name: Mapping[str, Mapping[str, Any]] | None = None,
        tags_by_output_name: Mapping[str, Mapping[str, str]] | None = None,
        descriptions_by_output_name: Mapping[str, str] | None = None,
        code_versions_by_output_name: Mapping[str, str] | None = None,
        can_subset: bool = False,
        **later: Any,
    ) -> AssetsDefinition:
        """Assets of an op that exists already: each output is one, and each input takes one.

        Args:
            op_def: the op.
            keys_by_input_name: which asset an input takes; not given: the one of the input's name.
            keys_by_output_name: which asset an output is; not given: the output's name (the op's, for ``result``).
            key_prefix: parts before the keys of outputs.
            internal_asset_deps: by output, what it is made from; not given: all inputs.
            group_name, resource_defs, can_subset: as of ``@multi_asset``.
            metadata_by_output_name, tags_by_output_name, descriptions_by_output_name, code_versions_by_output_name: by output.
            partitions_def, **later: not supported yet; refused unless None.
        """
        refuse_later_of(op_def, {"partitions_def": partitions_def, **later})
        assets = assets_of_node(
            op_def,
            keys_by_input_name or {},
            keys_by_output_name or {},
            key_prefix=key_prefix,
            internal_asset_deps=internal_asset_deps,
            group_name=group_name,
            metadata=metadata_by_output_name,
            tags=tags_by_output_name,
            descriptions=descriptions_by_output_name,
            code_versions=code_versions_by_output_name,
        )
        return _of_node(op_def, assets, resource_defs, can_subset=can_subset)

    @staticmethod
    def from_graph(
        graph_def: GraphDefinition,
        *,
        keys_by_input_name: Mapping[str, AssetKey] | None = None,
        keys_by_output_name: Mapping[str, AssetKey] | None = None,
        key_prefix: str | Sequence[str] | None = None,
        internal_asset_deps: Mapping[str, AbstractSet[AssetKey]] | None = None,
        partitions_def: None = None,
        group_name: str | None = None,
        resource_defs: Mapping[str, Any] | None = None,
        metadata_by_output_name: Mapping[str, Mapping[str, Any]] | None = None,
        tags_by_output_name: Mapping[str, Mapping[str, str]] | None = None,
        descriptions_by_output_name: Mapping[str, str] | None = None,
        code_versions_by_output_name: Mapping[str, str] | None = None,
        can_subset: bool = False,
        **later: Any,
    ) -> AssetsDefinition:
        """Assets of a graph that exists already. The arguments are those of ``from_op``."""
        refuse_later_of(graph_def, {"partitions_def": partitions_def, **later})
        assets = assets_of_node(
            graph_def,
            keys_by_input_name or {},
            keys_by_output_name or {},
            key_prefix=key_prefix,
            internal_asset_deps=internal_asset_deps,
            group_name=group_name,
            metadata=metadata_by_output_name,
            tags=tags_by_output_name,
            descriptions=descriptions_by_output_name,
            code_versions=code_versions_by_output_name,
        )
        return _of_node(graph_def, assets, resource_defs, can_subset=can_subset)

    # What it is -----------------------------------------------------------------------------------------------------------

    @property
    def node_def(self) -> Any:
        """The op or graph.

        Raises:
            DagsterInvariantViolationError: no code here makes the assets.
        """
        if self.node is None:
            raise DagsterInvariantViolationError("an external asset has no op.", got=str(self))
        return self.node

    @property
    def op(self) -> OpDefinition:
        """The op.

        Raises:
            DagsterInvariantViolationError: a graph makes the assets, or no code here does.
        """
        if not isinstance(self.node, OpDefinition):
            raise DagsterInvariantViolationError(
                "The NodeDefinition for this AssetsDefinition is not of type OpDefinition."
            )
        return self.node

    @property
    def is_executable(self) -> bool:
        """Whether some code here makes its assets."""
        return self.node is not None

    is_materializable = is_executable

    @property
    def is_external(self) -> bool:
        """Whether no code here makes its assets."""
        return self.node is None

    def get_asset_spec(self, key: AssetKey | None = None) -> AssetSpec:
        """What is said of one asset."""
        return self.specs_by_key[key or self.key]

    @property
    def partitions_def(self) -> None:
        """None: partitions come later."""
        return None

    @property
    def required_resource_keys(self) -> AbstractSet[str]:
        """The resources that its ops ask for, and that keep its assets."""
        if self.node is None:
            return frozenset()
        found = {self.get_io_manager_key_for_asset_key(key) for key in self.specs_by_key}
        for op in ops_of(self.node):
            found |= op.required_resource_keys
        return frozenset(found)

    def get_output_name_for_asset_key(self, key: AssetKey) -> str:
        """The output that is this asset.

        Raises:
            DagsterInvariantViolationError: none is.
        """
        for name, found in self.keys_by_output.items():
            if found == key:
                return name
        known = [k.to_user_string() for k in self.specs_by_key]
        raise DagsterInvariantViolationError(
            f"Asset key {key.to_user_string()} not found in AssetsDefinition",
            nearest=nearest(key.to_user_string(), known),
        )

    def get_io_manager_key_for_asset_key(self, key: AssetKey) -> str:
        """The resource that keeps an asset, or loads one that no code here makes."""
        if self.node is None:
            return self.io_manager_keys.get(key) or self.specs_by_key[key].metadata.get(
                IO_MANAGER_METADATA, DEFAULT_IO_MANAGER
            )
        output = self.get_output_name_for_asset_key(key)
        return str(output_of_node(self.node, output)[1].io_manager_key)

    # Ways to make another of it -------------------------------------------------------------------------------------------

    def subset_for(
        self, selected_asset_keys: AbstractSet[AssetKey], selected_asset_check_keys: AbstractSet[AssetCheckKey] | None
    ) -> AssetsDefinition:
        """The part that makes these assets and evaluates these checks (None: the checks of the assets).

        Raises:
            DagsterInvalidSubsetError: a part is meant, and the code makes all or nothing.
        """
        selected, selected_checks = self.part_for(selected_asset_keys, selected_asset_check_keys)
        return replace(self, selected=selected, selected_checks=selected_checks)

    def with_attributes(
        self,
        *,
        asset_key_replacements: Mapping[AssetKey, AssetKey] | None = None,
        group_names_by_key: Mapping[AssetKey, str] | None = None,
        tags_by_key: Mapping[AssetKey, Mapping[str, str]] | None = None,
        descriptions_by_key: Mapping[AssetKey, str] | None = None,
        metadata_by_key: Mapping[AssetKey, Mapping[str, Any]] | None = None,
        **later: Any,
    ) -> AssetsDefinition:
        """The same under other keys, in other groups, with other tags; whatever is not named stays.

        Args:
            asset_key_replacements: new keys, for its assets and for those it is made from.
            group_names_by_key, tags_by_key, descriptions_by_key, metadata_by_key: by old key.
            **later: not supported yet; refused unless None.

        Raises:
            DagsterInvalidDefinitionError: an asset has a group already.
        """
        refuse_later_of(self, later)
        new = asset_key_replacements or {}

        def changed(spec: AssetSpec) -> AssetSpec:
            parts: dict[str, Any] = {
                "key": new.get(spec.key, spec.key),
                "deps": [AssetDep(new.get(dep.asset_key, dep.asset_key)) for dep in spec.deps],
            }
            for name, by_key in (
                ("tags", tags_by_key),
                ("description", descriptions_by_key),
                ("metadata", metadata_by_key),
                ("group_name", group_names_by_key),
            ):
                if by_key and spec.key in by_key:
                    parts[name] = by_key[spec.key]
            if "group_name" in parts and spec.group_name not in (None, DEFAULT_GROUP_NAME):
                raise DagsterInvalidDefinitionError(
                    f"A group name has already been provided to source asset {spec.key.to_user_string()}"
                    if self.is_external
                    else f"Group name already exists on assets {spec.key.to_user_string()}"
                )
            return spec.replace_attributes(**parts)

        return self._mapped(changed, lambda key: new.get(key, key))

    def map_asset_specs(self, fn: Any) -> AssetsDefinition:
        """The same with each spec as `fn` changes it; keys stay.

        Raises:
            DagsterInvalidDefinitionError: `fn` changes a key.
        """

        def changed(spec: AssetSpec) -> AssetSpec:
            made: AssetSpec = fn(spec)
            if made.key != spec.key:
                raise DagsterInvalidDefinitionError(
                    "Asset specs cannot be replaced with specs of other keys by map_asset_specs.",
                    got=repr(made.key),
                    expected=repr(spec.key),
                )
            return made

        return self._mapped(changed, lambda key: key)

    def _mapped(self, spec_of: Any, key_of_: Any) -> AssetsDefinition:
        def checked(spec: AssetCheckSpec) -> AssetCheckSpec:
            deps = [AssetDep(key_of_(dep.asset_key)) for dep in spec.additional_deps]
            return replace_check(spec, asset_key=key_of_(spec.asset_key), additional_deps=deps)

        specs = [spec_of(spec) for spec in self.specs_by_key.values()]
        return replace(
            self,
            specs_by_key={spec.key: spec for spec in specs},
            keys_by_output={name: key_of_(key) for name, key in self.keys_by_output.items()},
            keys_by_input={name: key_of_(key) for name, key in self.keys_by_input.items()},
            checks_by_output={name: checked(spec) for name, spec in self.checks_by_output.items()},
            selected=None if self.selected is None else frozenset(map(key_of_, self.selected)),
            io_manager_keys={key_of_(key): value for key, value in self.io_manager_keys.items()},
        )

    def with_hooks(self, hook_defs: AbstractSet[HookDefinition]) -> AssetsDefinition:
        """The same with more hooks."""
        return replace(self, hook_defs=self.hook_defs | checked_hooks(hook_defs, str(self)))

    def with_resources(self, resource_defs: Mapping[str, Any]) -> AssetsDefinition:
        """The same with resources of its own; one that it has already stays."""
        return replace(self, resource_defs={**resource_defs, **self.resource_defs})

    def to_source_asset(self, key: Any = None) -> Any:
        """One of its assets as one that other code makes: what another code location says of it."""
        from_key = key_of(key) if key is not None else self.key
        return SourceAsset.of_spec(self.specs_by_key[from_key], self.get_io_manager_key_for_asset_key(from_key))

    def to_source_assets(self) -> Sequence[Any]:
        """Each of its assets as one that other code makes."""
        return [self.to_source_asset(key) for key in sorted(self.keys)]

    # What it does ---------------------------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """A call of the user's function; inside the body of a graph: a node of it."""
        return PendingNode(self.node_def)(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<AssetsDefinition {', '.join(sorted(k.to_user_string() for k in self.keys))}>"


class AssetChecksDefinition(AssetsDefinition):
    """Checks, and the op that evaluates them. Made by ``@asset_check`` and ``@multi_asset_check``."""

    def __repr__(self) -> str:
        return f"<AssetChecksDefinition {', '.join(sorted(k.to_user_string() for k in self.check_keys))}>"


def _of_node(
    node: Any, assets: NodeAssets, resource_defs: Mapping[str, Any] | None, *, can_subset: bool
) -> AssetsDefinition:
    specs, by_output, by_input = assets
    return AssetsDefinition(node, specs, by_output, {}, by_input, dict(resource_defs or {}), can_subset=can_subset)
