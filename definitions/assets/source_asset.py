"""``SourceAsset``: an asset that other code makes; and where an asset is kept by an IO manager of its own.

Source: https://docs.dagster.io/api/dagster/assets (SourceAsset)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...events.asset_key import AssetKey
from ..errors import DagsterInvalidDefinitionError
from ..ins_outs import DEFAULT_IO_MANAGER
from .refusals import refuse_later_of
from .spec import DEFAULT_GROUP_NAME, AssetSpec, key_of


class SourceAsset:
    """An asset that other code makes, and that ours takes.

    Args:
        key: its key.
        metadata, description, group_name, tags: as of ``AssetSpec``.
        io_manager_key: the resource that loads it.
        io_manager_def: an IO manager of its own, in place of a key.
        resource_defs: resources that came with it.
        partitions_def, observe_fn, **later: not supported yet; refused unless None.
    """

    def __init__(
        self,
        key: Any,
        metadata: Mapping[str, Any] | None = None,
        io_manager_key: str | None = None,
        io_manager_def: Any = None,
        description: str | None = None,
        partitions_def: None = None,
        group_name: str | None = None,
        resource_defs: Mapping[str, Any] | None = None,
        observe_fn: None = None,
        tags: Mapping[str, str] | None = None,
        **later: Any,
    ) -> None:
        refuse_later_of(self, {"partitions_def": partitions_def, "observe_fn": observe_fn, **later})
        self.spec = AssetSpec(key, metadata=metadata, description=description, group_name=group_name, tags=tags)
        own = own_io_manager(self.spec.key, io_manager_key, io_manager_def)
        self.io_manager_key = own[0]
        self.resource_defs: Mapping[str, Any] = {**(resource_defs or {}), **own[1]}

    @classmethod
    def of_spec(cls, spec: AssetSpec, io_manager_key: str) -> SourceAsset:
        """What is said of an asset, as one that other code makes."""
        return cls(
            spec.key,
            metadata=spec.metadata,
            io_manager_key=io_manager_key,
            description=spec.description,
            group_name=spec.group_name,
            tags=spec.tags,
        )

    @property
    def key(self) -> AssetKey:
        """Its key."""
        return self.spec.key

    @property
    def group_name(self) -> str:
        """Its group."""
        return self.spec.group_name or DEFAULT_GROUP_NAME

    @property
    def description(self) -> str | None:
        """For people."""
        return self.spec.description

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Shown with it."""
        return self.spec.metadata

    @property
    def tags(self) -> Mapping[str, str]:
        """Text to text."""
        return self.spec.tags

    @property
    def is_observable(self) -> bool:
        """False: observing comes later."""
        return False

    def get_io_manager_key(self) -> str:
        """The resource that loads it."""
        return self.io_manager_key or DEFAULT_IO_MANAGER

    def with_attributes(self, key: Any = None, group_name: str | None = None) -> SourceAsset:
        """The same under another key, or in another group."""
        parts = {"key": key_of(key) if key is not None else self.key, "group_name": group_name or self.spec.group_name}
        made = SourceAsset.of_spec(self.spec.replace_attributes(**parts), self.get_io_manager_key())
        made.io_manager_key, made.resource_defs = self.io_manager_key, self.resource_defs
        return made

    def __repr__(self) -> str:
        return f"<SourceAsset {self.key.to_user_string()}>"


def own_io_manager(key: AssetKey, io_manager_key: str | None, io_manager_def: Any) -> tuple[str | None, dict[str, Any]]:
    """The key under which an asset's IO manager is found, and the resource that came with it.

    Raises:
        DagsterInvalidDefinitionError: key and definition were both given.
    """
    if io_manager_def is None:
        return io_manager_key, {}
    if io_manager_key is not None:
        raise DagsterInvalidDefinitionError(
            "Both io_manager_def and io_manager_key were provided. Please provide one or the other."
        )
    name = f"{key.to_python_identifier()}__io_manager"
    return name, {name: io_manager_def}
