"""The contexts that functions of assets and of checks are given.

Source: https://docs.dagster.io/api/dagster/execution (AssetExecutionContext, AssetCheckExecutionContext)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from ...errors.suggest import nearest
from ...events.asset_key import AssetCheckKey, AssetKey
from ..errors import DagsterInvariantViolationError
from ..op_context import OpExecutionContext
from .assets_definition import AssetsDefinition
from .spec import AssetCheckSpec, key_of


class AssetExecutionContext(OpExecutionContext):
    """One attempt of the step that makes some assets. All of ``OpExecutionContext`` is there too.

    Args:
        assets_def: what makes them (of a subset: with what is selected).
        keys_by_output: which asset an output of this step is.
        keys_by_input: which asset an input of this step takes.
        **rest: of ``OpExecutionContext``.
    """

    def __init__(
        self,
        *,
        assets_def: AssetsDefinition | None = None,
        keys_by_output: Mapping[str, AssetKey] | None = None,
        keys_by_input: Mapping[str, AssetKey] | None = None,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        self._assets_def = assets_def
        self._keys_by_output = dict(keys_by_output or {})
        self._keys_by_input = dict(keys_by_input or {})
        self.asset_metadata: dict[AssetKey, dict[str, Any]] = {}
        self.data_versions: dict[AssetKey, str] = {}

    @property
    def op_execution_context(self) -> OpExecutionContext:
        """The same as a context of an op."""
        return self

    @property
    def has_assets_def(self) -> bool:
        """Whether the step makes assets: not so when the function was called outside a run."""
        return self._assets_def is not None

    @property
    def assets_def(self) -> AssetsDefinition:
        """What makes the assets.

        Raises:
            DagsterInvariantViolationError: the step makes none.
        """
        if self._assets_def is None:
            raise DagsterInvariantViolationError(
                "this step makes no assets.", hint="The function was called outside a run."
            )
        return self._assets_def

    @property
    def asset_key(self) -> AssetKey:
        """The asset that the step makes.

        Raises:
            DagsterInvariantViolationError: it makes several, or none.
        """
        keys = self.assets_def.keys
        if len(keys) != 1:
            raise DagsterInvariantViolationError(
                "Cannot call `context.asset_key` in a multi_asset with more than one asset. Use "
                "`context.asset_key_for_output` instead."
            )
        return next(iter(keys))

    def asset_key_for_output(self, output_name: str = "result") -> AssetKey:
        """The asset that an output is.

        Raises:
            DagsterInvariantViolationError: it is none.
        """
        if output_name not in self._keys_by_output:
            raise DagsterInvariantViolationError(
                f"Output '{output_name}' has no asset", nearest=nearest(output_name, self._keys_by_output)
            )
        return self._keys_by_output[output_name]

    def output_for_asset_key(self, asset_key: AssetKey) -> str:
        """The output that an asset is.

        Raises:
            DagsterInvariantViolationError: the step does not make it.
        """
        for name, key in self._keys_by_output.items():
            if key == asset_key:
                return name
        raise DagsterInvariantViolationError(f"No output found for asset '{asset_key.to_user_string()}'")

    def asset_key_for_input(self, input_name: str) -> AssetKey:
        """The asset that an input takes.

        Raises:
            DagsterInvariantViolationError: it takes none.
        """
        if input_name not in self._keys_by_input:
            raise DagsterInvariantViolationError(
                f"Input '{input_name}' has no asset", nearest=nearest(input_name, self._keys_by_input)
            )
        return self._keys_by_input[input_name]

    @property
    def selected_asset_keys(self) -> AbstractSet[AssetKey]:
        """The assets that this run is to make here."""
        return set(self._assets_def.keys) if self._assets_def is not None else set()

    @property
    def selected_asset_check_keys(self) -> AbstractSet[AssetCheckKey]:
        """The checks that this run is to evaluate here."""
        return set(self._assets_def.check_keys) if self._assets_def is not None else set()

    @property
    def selected_output_names(self) -> AbstractSet[str]:
        """The outputs that this run is to give here, checks included."""
        selected = self.selected_asset_keys
        found = {name for name, key in self._keys_by_output.items() if key in selected}
        if self._assets_def is not None:
            checks = self._assets_def.check_keys
            found |= {name for name, spec in self._assets_def.checks_by_output.items() if spec.key in checks}
        return found

    @property
    def is_subset(self) -> bool:
        """Whether the run makes a part of what the function can make."""
        return self._assets_def is not None and self._assets_def.is_subset

    def add_asset_metadata(
        self, metadata: Mapping[str, Any], asset_key: Any = None, partition_key: None = None
    ) -> None:
        """Show `metadata` with the event of an asset. Call it before the asset is yielded or returned.

        Args:
            metadata: by label.
            asset_key: which asset; not needed when there is only one.
            partition_key: not supported yet; refused unless None.

        Raises:
            DagsterInvariantViolationError: no such asset, or several and none named.
        """
        if partition_key is not None:
            raise DagsterInvariantViolationError("partitions are not supported in this version.")
        key = self.asset_key if asset_key is None else key_of(asset_key)
        if key not in self.assets_def.specs_by_key:
            raise DagsterInvariantViolationError(
                f"Key '{key.to_user_string()}' not found in the set of assets that this step makes.",
                expected=", ".join(k.to_user_string() for k in self.assets_def.specs_by_key),
            )
        self.asset_metadata.setdefault(key, {}).update(metadata)

    def set_data_version(self, asset_key: Any, data_version: Any) -> None:
        """Say which version of its data an asset has; it is shown as a tag of the asset's event."""
        self.data_versions[key_of(asset_key)] = str(getattr(data_version, "value", data_version))


class AssetCheckExecutionContext(AssetExecutionContext):
    """One attempt of the step that evaluates checks of assets that others make."""

    @property
    def check_specs(self) -> Sequence[AssetCheckSpec]:
        """What is said of the checks."""
        return self.assets_def.check_specs
