"""Which of its assets and checks a definition makes: all, or the part that was selected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from typing import Any

from ...events.asset_key import AssetCheckKey, AssetKey
from ..errors import DagsterInvalidSubsetError, DagsterInvariantViolationError
from .said_of_assets import SaidOfAssets
from .spec import AssetCheckSpec, AssetSpec


class SelectedAssets(SaidOfAssets):
    """The part of a definition that says which of its assets are meant.

    Attributes:
        keys_by_output, checks_by_output, keys_by_input, can_subset, selected, selected_checks: as of ``AssetsDefinition``.
    """

    node_def: Any
    keys_by_output: Mapping[str, AssetKey]
    checks_by_output: Mapping[str, AssetCheckSpec]
    keys_by_input: Mapping[str, AssetKey]
    can_subset: bool
    selected: frozenset[AssetKey] | None
    selected_checks: frozenset[AssetCheckKey] | None

    @cached_property
    def keys(self) -> frozenset[AssetKey]:
        """The assets that it makes (of a subset: those that are selected)."""
        return frozenset(self.specs_by_key) if self.selected is None else self.selected

    @property
    def key(self) -> AssetKey:
        """The only asset.

        Raises:
            DagsterInvariantViolationError: there are several.
        """
        if len(self.keys) != 1:
            raise DagsterInvariantViolationError(
                f"Tried to retrieve asset key from an assets definition with multiple asset keys: "
                f"{', '.join(sorted(k.to_user_string() for k in self.keys))}"
            )
        return next(iter(self.keys))

    @property
    def has_keys(self) -> bool:
        """Whether it makes any asset (a check makes none)."""
        return bool(self.keys)

    @property
    def specs(self) -> Sequence[AssetSpec]:
        """What is said of its assets."""
        return [spec for key, spec in self.specs_by_key.items() if key in self.keys]

    @property
    def check_specs(self) -> Sequence[AssetCheckSpec]:
        """The checks that it evaluates (of a subset: those that are selected)."""
        return [
            s for s in self.checks_by_output.values() if self.selected_checks is None or s.key in self.selected_checks
        ]

    @property
    def check_keys(self) -> frozenset[AssetCheckKey]:
        """Keys of its checks."""
        return frozenset(spec.key for spec in self.check_specs)

    @property
    def check_key(self) -> AssetCheckKey:
        """The only check.

        Raises:
            DagsterInvariantViolationError: there is none, or several.
        """
        if len(self.check_keys) != 1:
            raise DagsterInvariantViolationError(f"this has {len(self.check_keys)} checks.", expected="one")
        return next(iter(self.check_keys))

    @property
    def is_subset(self) -> bool:
        """Whether it stands for a part of what its node can make."""
        return self.selected is not None or self.selected_checks is not None

    @property
    def keys_by_output_name(self) -> Mapping[str, AssetKey]:
        """Which asset an output of the node is, for those that are selected."""
        return {name: key for name, key in self.keys_by_output.items() if key in self.keys}

    @property
    def node_keys_by_output_name(self) -> Mapping[str, AssetKey]:
        """Which asset an output of the node is, for all."""
        return self.keys_by_output

    @property
    def keys_by_input_name(self) -> Mapping[str, AssetKey]:
        """Which asset an input of the node takes, for inputs that the selected assets and checks need."""
        if not self.is_subset:
            return self.keys_by_input
        needed = {dep.asset_key for spec in self.specs for dep in spec.deps}
        for check in self.check_specs:
            needed |= {check.asset_key, *(dep.asset_key for dep in check.additional_deps)}
        return {name: key for name, key in self.keys_by_input.items() if key in needed}

    @property
    def node_keys_by_input_name(self) -> Mapping[str, AssetKey]:
        """Which asset an input of the node takes, for all."""
        return self.keys_by_input

    @property
    def input_names(self) -> Iterable[str]:
        """Names of the inputs that take assets."""
        return self.keys_by_input_name.keys()

    def part_for(
        self, selected_asset_keys: AbstractSet[AssetKey], selected_asset_check_keys: AbstractSet[AssetCheckKey] | None
    ) -> tuple[frozenset[AssetKey] | None, frozenset[AssetCheckKey] | None]:
        """What a part that makes these assets and evaluates these checks has as ``selected`` and ``selected_checks``.

        Raises:
            DagsterInvalidSubsetError: a part is meant, and the code makes all or nothing.
        """
        every = frozenset(self.specs_by_key)
        keys = every & selected_asset_keys
        own = frozenset(spec.key for spec in self.checks_by_output.values())
        checks = own & (
            {key for key in own if key.asset_key in keys}
            if selected_asset_check_keys is None
            else selected_asset_check_keys
        )
        if keys == every and (checks == own or not self.can_subset):
            return None, None  # where not all checks are meant, they come with their assets
        if self.can_subset:
            return keys, checks
        wanted = sorted(key.to_user_string() for key in keys) or sorted(key.to_user_string() for key in checks)
        raise DagsterInvalidSubsetError(
            f"the code '{self.node_def.name}' makes all of its assets, or none.",
            got=", ".join(wanted),
            expected=", ".join(sorted(key.to_user_string() for key in every)),
            hint="Select all of them, or give @multi_asset can_subset=True.",
        )
