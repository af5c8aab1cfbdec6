"""``AssetIn`` and ``AssetOut``: how an asset's function takes other assets, and what it makes.

Source: https://docs.dagster.io/api/dagster/assets (AssetIn, AssetOut).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...events.asset_key import AssetKey
from ..errors import DagsterInvalidDefinitionError
from ..ins_outs import UNSET, Out
from .refusals import refuse_later
from .spec import AssetSpec, key_of


class AssetIn:
    """An asset that a parameter takes.

    Args:
        key: which asset; not given: the parameter's name, with `key_prefix` before it.
        metadata: for the IO manager that loads it.
        key_prefix: parts before the parameter's name.
        input_manager_key: the resource that loads it in place of the asset's own IO manager.
        partition_mapping: not supported yet; refused unless None.
        dagster_type: its type; not given: from the parameter's annotation. ``Nothing``: only the order.
    """

    def __init__(
        self,
        key: Any = None,
        metadata: Mapping[str, Any] | None = None,
        key_prefix: str | Sequence[str] | None = None,
        input_manager_key: str | None = None,
        partition_mapping: None = None,
        dagster_type: Any = UNSET,
    ) -> None:
        refuse_later("AssetIn", partition_mapping=partition_mapping)
        if key is not None and key_prefix is not None:
            raise DagsterInvalidDefinitionError("AssetIn: key and key_prefix cannot both be provided.")
        self.key = None if key is None else key_of(key)
        self.metadata = metadata
        self.key_prefix = [key_prefix] if isinstance(key_prefix, str) else key_prefix
        self.input_manager_key = input_manager_key
        self.dagster_type = dagster_type

    def key_for(self, parameter: str) -> AssetKey:
        """The asset that `parameter` takes."""
        return self.key if self.key is not None else AssetKey([*(self.key_prefix or ()), parameter])


class AssetOut:
    """One asset of several that a function makes.

    Args:
        key_prefix: parts before the output's name.
        key: its key; not given: the output's name, with `key_prefix` before it.
        dagster_type: its type; not given: from the return annotation.
        description, metadata, group_name, code_version, owners, tags, kinds: as of ``AssetSpec``.
        is_required: every success makes it.
        io_manager_key: the resource that keeps it.
        automation_condition, backfill_policy, freshness_policy: not supported yet; refused unless None.
    """

    def __init__(
        self,
        key_prefix: str | Sequence[str] | None = None,
        key: Any = None,
        dagster_type: Any = UNSET,
        description: str | None = None,
        is_required: bool = True,
        io_manager_key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        group_name: str | None = None,
        code_version: str | None = None,
        automation_condition: None = None,
        backfill_policy: None = None,
        owners: Sequence[str] | None = None,
        tags: Mapping[str, str] | None = None,
        kinds: Iterable[str] | None = None,
        freshness_policy: None = None,
    ) -> None:
        refuse_later(
            "AssetOut",
            automation_condition=automation_condition,
            backfill_policy=backfill_policy,
            freshness_policy=freshness_policy,
        )
        if key is not None and key_prefix is not None:
            raise DagsterInvalidDefinitionError("Only one of key_prefix and key should be provided.")
        self.key = None if key is None else key_of(key)
        self.key_prefix = [key_prefix] if isinstance(key_prefix, str) else key_prefix
        self.dagster_type = dagster_type
        self.description = description
        self.is_required = is_required
        self.io_manager_key = io_manager_key
        self.metadata = metadata
        self.group_name = group_name
        self.code_version = code_version
        self.owners = owners
        self.tags = tags
        self.kinds = kinds

    @staticmethod
    def from_spec(
        spec: AssetSpec, dagster_type: Any = UNSET, is_required: bool = True, io_manager_key: str | None = None
    ) -> AssetOut:
        """The output of an asset that a spec describes."""
        if spec.deps:
            raise DagsterInvalidDefinitionError(
                "Currently, cannot build AssetOut from spec with deps", where=spec.key.to_user_string()
            )
        return AssetOut(
            key=spec.key,
            dagster_type=dagster_type,
            description=spec.description,
            is_required=is_required,
            io_manager_key=io_manager_key,
            metadata=spec.metadata,
            group_name=spec.group_name,
            code_version=spec.code_version,
            owners=spec.owners,
            tags=spec.tags,
        )

    def key_for(self, output: str) -> AssetKey:
        """The key of the output `output`."""
        return self.key if self.key is not None else AssetKey([*(self.key_prefix or ()), output])

    def to_spec(self, key: AssetKey, deps: Iterable[Any], group_name: str | None = None) -> AssetSpec:
        """What is said of the asset."""
        return AssetSpec(
            key,
            deps=deps,
            description=self.description,
            metadata=self.metadata,
            skippable=not self.is_required,
            group_name=self.group_name or group_name,
            code_version=self.code_version,
            owners=self.owners,
            tags=self.tags,
            kinds=self.kinds,
        )

    def to_out(self) -> Out:
        """The op's output."""
        return Out(
            dagster_type=self.dagster_type,
            description=self.description,
            is_required=self.is_required,
            io_manager_key=self.io_manager_key,
            metadata=self.metadata,
            code_version=self.code_version,
        )
