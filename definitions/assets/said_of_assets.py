"""What is said of several assets, by asset: groups, descriptions, metadata, tags, owners, versions, what each is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from ...events.asset_key import AssetKey
from .spec import DEFAULT_GROUP_NAME, AssetSpec


class SaidOfAssets:
    """The part of a definition that its specs say.

    Attributes:
        specs_by_key: what is said of each asset, all of them.
    """

    specs_by_key: Mapping[AssetKey, AssetSpec]

    @property
    def specs(self) -> Sequence[AssetSpec]:
        """What is said of those that are meant."""
        return list(self.specs_by_key.values())

    @property
    def dependency_keys(self) -> set[AssetKey]:
        """The assets that its own are made from."""
        return {dep.asset_key for spec in self.specs for dep in spec.deps}

    @property
    def asset_deps(self) -> Mapping[AssetKey, AbstractSet[AssetKey]]:
        """By asset, what it is made from."""
        return {key: {dep.asset_key for dep in spec.deps} for key, spec in self.specs_by_key.items()}

    @property
    def group_names_by_key(self) -> Mapping[AssetKey, str]:
        """By asset, its group."""
        return {spec.key: spec.group_name or DEFAULT_GROUP_NAME for spec in self.specs}

    @property
    def descriptions_by_key(self) -> Mapping[AssetKey, str]:
        """By asset, its description, where it has one."""
        return {spec.key: spec.description for spec in self.specs if spec.description}

    @property
    def metadata_by_key(self) -> Mapping[AssetKey, Mapping[str, Any]]:
        """By asset, its metadata."""
        return {spec.key: spec.metadata for spec in self.specs}

    @property
    def tags_by_key(self) -> Mapping[AssetKey, Mapping[str, str]]:
        """By asset, its tags."""
        return {spec.key: spec.tags for spec in self.specs}

    @property
    def owners_by_key(self) -> Mapping[AssetKey, Sequence[str]]:
        """By asset, its owners."""
        return {spec.key: spec.owners for spec in self.specs}

    @property
    def code_versions_by_key(self) -> Mapping[AssetKey, str | None]:
        """By asset, the version of its code."""
        return {spec.key: spec.code_version for spec in self.specs}
