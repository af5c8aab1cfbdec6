"""What is said of an asset or of a check apart from the code that makes it.

Source: https://docs.dagster.io/api/dagster/assets (AssetSpec, AssetDep), https://docs.dagster.io/api/dagster/asset-checks
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...events.asset_key import AssetCheckKey, AssetKey
from ..errors import DagsterInvalidDefinitionError
from ..names import check_key
from .refusals import refuse_later

DEFAULT_GROUP_NAME = "default"
KIND_PREFIX = "dagster/kind/"
_TEAM = re.compile(r"team:[A-Za-z0-9_.\- ]+")
_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_TAG_KEY = re.compile(r"([A-Za-z0-9_.\-]{1,63}/)?[A-Za-z0-9_.\-/]{1,63}")


class AssetDep:
    """An asset that another one depends on.

    Args:
        asset: a key, ``"a/b"``, a spec, or an assets definition of one asset.
        partition_mapping: not supported yet; refused unless None.
    """

    __slots__ = ("asset_key",)

    def __init__(self, asset: Any, *, partition_mapping: None = None) -> None:
        refuse_later("AssetDep", partition_mapping=partition_mapping)
        self.asset_key = key_of(asset)

    @property
    def partition_mapping(self) -> None:
        """None: partitions come later."""
        return None

    @staticmethod
    def from_coercible(given: Any) -> AssetDep:
        """The dependency that a user gave: one, or anything that names an asset."""
        return given if isinstance(given, AssetDep) else AssetDep(given)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AssetDep) and self.asset_key == other.asset_key

    def __hash__(self) -> int:
        return hash(self.asset_key)

    def __repr__(self) -> str:
        return f"AssetDep({self.asset_key!r})"


def key_of(asset: Any) -> AssetKey:
    """The key of what names one asset: a key, ``"a/b"``, parts, a spec, an assets definition of one asset.

    Raises:
        DagsterInvalidDefinitionError: it names none, or several.
    """
    if isinstance(asset, (AssetKey, str)):
        return AssetKey.from_coercible(asset)
    keys = getattr(asset, "keys", None)
    if isinstance(keys, (set, frozenset)):
        if len(keys) != 1:
            raise DagsterInvalidDefinitionError(
                "an assets definition of several assets stands for none of them.",
                got=", ".join(sorted(k.to_user_string() for k in keys)) or "no asset",
                expected="one asset",
                hint="Name the key.",
            )
        return AssetKey.from_coercible(next(iter(keys)))
    key = getattr(asset, "key", None) or getattr(asset, "asset_key", None)
    if isinstance(key, AssetKey):
        return key
    if isinstance(asset, Sequence):
        return AssetKey(asset)
    raise DagsterInvalidDefinitionError(
        "this names no asset.", got=type(asset).__name__, expected="an asset, a spec, a key or text"
    )


def deps_of(given: Iterable[Any] | None, where: str) -> tuple[AssetDep, ...]:
    """Dependencies as a user gave them; one asset named twice is an error.

    Raises:
        DagsterInvalidDefinitionError: something that names no asset, or one twice.
    """
    found: dict[AssetKey, AssetDep] = {}
    for one in given or ():
        keys = getattr(one, "keys", None)
        several = sorted(keys) if isinstance(keys, (set, frozenset)) else [one]
        for dep in map(AssetDep.from_coercible, several):
            if dep.asset_key in found:
                raise DagsterInvalidDefinitionError(
                    f"Cannot set a dependency on asset {dep.asset_key!r} more than once per asset.", where=where
                )
            found[dep.asset_key] = dep
    return tuple(found.values())


@dataclass(frozen=True)
class _SpecFields:
    key: AssetKey
    deps: tuple[AssetDep, ...]
    description: str | None
    metadata: Mapping[str, Any]
    skippable: bool
    group_name: str | None
    code_version: str | None
    owners: tuple[str, ...]
    tags: Mapping[str, str]


class AssetSpec(_SpecFields):
    """What is said of one asset.

    Attributes:
        key: its key.
        deps: the assets it is made from.
        description: for people.
        metadata: shown with the asset.
        skippable: a run that should make it may leave it out.
        group_name: its group; None: ``default``.
        code_version: version of the code that makes it, as text.
        owners: e-mail addresses or ``team:name``.
        tags: text to text; kinds are among them (``dagster/kind/python``).

    Raises:
        DagsterInvalidDefinitionError: a group name, owner, tag or dependency that is not one.
        UnsupportedError: an argument that comes in a later version.
    """

    def __init__(
        self,
        key: Any,
        *,
        deps: Iterable[Any] | None = None,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        skippable: bool = False,
        group_name: str | None = None,
        code_version: str | None = None,
        automation_condition: None = None,
        owners: Sequence[str] | None = None,
        tags: Mapping[str, str] | None = None,
        kinds: Iterable[str] | None = None,
        partitions_def: None = None,
        freshness_policy: None = None,
    ) -> None:
        asset_key = key_of(key)
        where = f"asset '{asset_key.to_user_string()}'"
        refuse_later(
            where,
            automation_condition=automation_condition,
            partitions_def=partitions_def,
            freshness_policy=freshness_policy,
        )
        super().__init__(
            asset_key,
            deps_of(deps, where),
            description,
            dict(metadata or {}),
            skippable,
            checked_group(group_name),
            code_version,
            checked_owners(owners, where),
            checked_tags(tags, kinds, where),
        )

    @property
    def kinds(self) -> set[str]:
        """What it is made with or of (``python``, ``table``), from its tags."""
        return {name[len(KIND_PREFIX) :] for name in self.tags if name.startswith(KIND_PREFIX)}

    def replace_attributes(self, **changed: Any) -> AssetSpec:
        """The spec with some of its parts replaced: any argument of ``AssetSpec``."""
        if "kinds" in changed:
            rest = {k: v for k, v in changed.get("tags", self.tags).items() if not k.startswith(KIND_PREFIX)}
            changed["tags"] = rest
        given = {
            "deps": self.deps,
            "description": self.description,
            "metadata": self.metadata,
            "skippable": self.skippable,
            "group_name": self.group_name,
            "code_version": self.code_version,
            "owners": self.owners,
            "tags": self.tags,
            **changed,
        }
        return AssetSpec(given.pop("key", self.key), **given)

    def merge_attributes(
        self,
        *,
        deps: Iterable[Any] = (),
        metadata: Mapping[str, Any] | None = None,
        owners: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
        kinds: Iterable[str] = (),
    ) -> AssetSpec:
        """The spec with more dependencies, metadata, owners, tags, kinds."""
        return self.replace_attributes(
            deps=[*self.deps, *deps],
            metadata={**self.metadata, **(metadata or {})},
            owners=[*self.owners, *owners],
            tags={**self.tags, **(tags or {}), **{f"{KIND_PREFIX}{kind}": "" for kind in kinds}},
        )

    def with_io_manager_key(self, io_manager_key: str) -> AssetSpec:
        """The spec of an external asset that this IO manager loads."""
        return self.replace_attributes(metadata={**self.metadata, IO_MANAGER_METADATA: io_manager_key})


IO_MANAGER_METADATA = "dagster/io_manager_key"
"""Metadata label: which IO manager loads an asset that no code here makes."""


@dataclass(frozen=True)
class _CheckFields:
    name: str
    asset_key: AssetKey
    description: str | None
    additional_deps: tuple[AssetDep, ...]
    blocking: bool
    metadata: Mapping[str, Any]


class AssetCheckSpec(_CheckFields):
    """What is said of one check of an asset.

    Attributes:
        name: its name, unique among the asset's checks.
        asset_key: the asset it checks.
        description: for people.
        additional_deps: other assets that it looks at.
        blocking: when it fails with severity ERROR, what is downstream of the asset does not run.
        metadata: shown with the check.
    """

    def __init__(
        self,
        name: str,
        *,
        asset: Any,
        description: str | None = None,
        additional_deps: Iterable[Any] | None = None,
        blocking: bool = False,
        metadata: Mapping[str, Any] | None = None,
        automation_condition: None = None,
        partitions_def: None = None,
    ) -> None:
        where = f"check '{name}'"
        refuse_later(where, automation_condition=automation_condition, partitions_def=partitions_def)
        key = key_of(asset)
        others = deps_of(additional_deps, where)
        if any(dep.asset_key == key for dep in others):
            raise DagsterInvalidDefinitionError(
                f"Asset check {name} for asset {key.to_string()} has an additional dependency on the same asset."
            )
        super().__init__(check_key(name), key, description, others, blocking, dict(metadata or {}))

    @property
    def key(self) -> AssetCheckKey:
        """Its key."""
        return AssetCheckKey(self.asset_key, self.name)

    def get_python_identifier(self) -> str:
        """The name of its output."""
        return self.key.to_python_identifier()

    def replace_key(self, key: AssetCheckKey) -> AssetCheckSpec:
        """The same of another asset, or under another name."""
        return replace_check(self, asset_key=key.asset_key, name=key.name)


def replace_check(spec: AssetCheckSpec, **changed: Any) -> AssetCheckSpec:
    """The check with some of its fields replaced."""
    fields = {**vars(spec), **changed}
    return AssetCheckSpec(
        fields["name"],
        asset=fields["asset_key"],
        description=fields["description"],
        additional_deps=fields["additional_deps"],
        blocking=fields["blocking"],
        metadata=fields["metadata"],
    )


def checked_group(name: str | None) -> str | None:
    """Return the name of a group. Raises DagsterInvalidDefinitionError for a bad one."""
    if name == "":
        raise DagsterInvalidDefinitionError("Empty asset group name was provided, which is not permitted.")
    return None if name is None else check_key(name)


def checked_owners(owners: Sequence[str] | None, where: str) -> tuple[str, ...]:
    """Return the owners. Raises DagsterInvalidDefinitionError for what is neither a mail address nor a team."""
    for owner in owners or ():
        if not isinstance(owner, str) or not (_TEAM.fullmatch(owner) or _MAIL.fullmatch(owner)):
            raise DagsterInvalidDefinitionError(
                "this is no owner.", where=where, got=repr(owner), expected="an e-mail address or 'team:name'"
            )
    return tuple(owners or ())


def checked_tags(tags: Mapping[str, str] | None, kinds: Iterable[str] | None, where: str) -> dict[str, str]:
    """Tags, with the kinds as tags. Raises DagsterInvalidDefinitionError for a key or value that is none."""
    found = dict(tags or {})
    for key, value in found.items():
        if not isinstance(key, str) or not _TAG_KEY.fullmatch(key) or not isinstance(value, str):
            raise DagsterInvalidDefinitionError(
                "this is no tag of an asset.",
                where=where,
                got=f"{key!r}: {value!r}",
                expected="text to text; keys of letters, digits and . _ - /",
            )
    given = sorted(kinds or ())
    of_tags = sum(key.startswith(KIND_PREFIX) for key in found)
    if len(given) + of_tags > MOST_KINDS:
        raise DagsterInvalidDefinitionError(f"Assets can have at most {MOST_KINDS} kinds currently.", where=where)
    return {**found, **{f"{KIND_PREFIX}{kind}": "" for kind in given}}


MOST_KINDS = 10


def in_group(spec: AssetSpec, group_name: str) -> AssetSpec:
    """The spec in a group."""
    return spec.replace_attributes(group_name=group_name)
