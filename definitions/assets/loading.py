"""Assets and checks found in modules and packages.

Source: https://docs.dagster.io/api/dagster/assets (load_assets_from_modules, ...)
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterable, Iterator, Sequence
from types import ModuleType
from typing import Any

from ...events.asset_key import AssetKey
from ..errors import DagsterInvalidDefinitionError
from .assets_definition import AssetChecksDefinition, AssetsDefinition
from .refusals import refuse_later
from .source_asset import SourceAsset
from .spec import AssetSpec

Prefix = str | Sequence[str] | None


def load_assets_from_modules(
    modules: Iterable[ModuleType],
    group_name: str | None = None,
    key_prefix: Prefix = None,
    *,
    automation_condition: None = None,
    backfill_policy: None = None,
    source_key_prefix: Prefix = None,
    include_specs: bool = False,
) -> Sequence[Any]:
    """The assets at the top of some modules.

    Args:
        group_name: the group of all of them.
        key_prefix: parts before their keys.
        source_key_prefix: parts before the keys of source assets.
        include_specs: take specs of external assets too.
        automation_condition, backfill_policy: not supported yet; refused unless None.

    Raises:
        DagsterInvalidDefinitionError: two make one asset; an asset has a group already.
    """
    refuse_later("load_assets_from_modules", automation_condition=automation_condition, backfill_policy=backfill_policy)
    found: dict[int, Any] = {}
    origin: dict[AssetKey, str] = {}
    for module in modules:
        for one in objects_of_module(module, specs=include_specs):
            if id(one) in found:
                continue
            found[id(one)] = one
            for key in sorted(one.keys if isinstance(one, AssetsDefinition) else {one.key}):
                if key in origin:
                    raise DagsterInvalidDefinitionError(
                        f"Asset key {key.to_user_string()} is defined multiple times. Definitions found in modules: "
                        f"{', '.join(sorted({origin[key], module.__name__}))}."
                    )
                origin[key] = module.__name__
    return _changed(list(found.values()), group_name, key_prefix, source_key_prefix)


def load_assets_from_package_module(
    package_module: ModuleType,
    group_name: str | None = None,
    key_prefix: Prefix = None,
    *,
    automation_condition: None = None,
    backfill_policy: None = None,
    source_key_prefix: Prefix = None,
    include_specs: bool = False,
) -> Sequence[Any]:
    """The assets of a package and of all modules in it. The arguments are those of ``load_assets_from_modules``."""
    return load_assets_from_modules(
        modules_of(package_module),
        group_name,
        key_prefix,
        automation_condition=automation_condition,
        backfill_policy=backfill_policy,
        source_key_prefix=source_key_prefix,
        include_specs=include_specs,
    )


def load_assets_from_package_name(
    package_name: str,
    group_name: str | None = None,
    key_prefix: Prefix = None,
    *,
    automation_condition: None = None,
    backfill_policy: None = None,
    source_key_prefix: Prefix = None,
    include_specs: bool = False,
) -> Sequence[Any]:
    """As ``load_assets_from_package_module``, of a package that is imported by its name."""
    return load_assets_from_package_module(
        importlib.import_module(package_name),
        group_name,
        key_prefix,
        automation_condition=automation_condition,
        backfill_policy=backfill_policy,
        source_key_prefix=source_key_prefix,
        include_specs=include_specs,
    )


def load_assets_from_current_module(
    group_name: str | None = None,
    key_prefix: Prefix = None,
    *,
    automation_condition: None = None,
    backfill_policy: None = None,
    source_key_prefix: Prefix = None,
    include_specs: bool = False,
) -> Sequence[Any]:
    """The assets at the top of the module that calls this. The arguments are those of ``load_assets_from_modules``."""
    return load_assets_from_modules(
        [_calling_module()],
        group_name,
        key_prefix,
        automation_condition=automation_condition,
        backfill_policy=backfill_policy,
        source_key_prefix=source_key_prefix,
        include_specs=include_specs,
    )


def load_asset_checks_from_modules(
    modules: Iterable[ModuleType], asset_key_prefix: Prefix = None
) -> Sequence[AssetChecksDefinition]:
    """The checks at the top of some modules; `asset_key_prefix` is put before the keys of the assets that they check."""
    found = {id(one): one for module in modules for one in checks_of_module(module)}
    return [_prefixed(one, asset_key_prefix) for one in found.values()]


def load_asset_checks_from_package_module(
    package_module: ModuleType, asset_key_prefix: Prefix = None
) -> Sequence[AssetChecksDefinition]:
    """The checks of a package and of all modules in it."""
    return load_asset_checks_from_modules(modules_of(package_module), asset_key_prefix)


def load_asset_checks_from_package_name(
    package_name: str, asset_key_prefix: Prefix = None
) -> Sequence[AssetChecksDefinition]:
    """The checks of a package that is imported by its name."""
    return load_asset_checks_from_package_module(importlib.import_module(package_name), asset_key_prefix)


def load_asset_checks_from_current_module(asset_key_prefix: Prefix = None) -> Sequence[AssetChecksDefinition]:
    """The checks at the top of the module that calls this."""
    return load_asset_checks_from_modules([_calling_module()], asset_key_prefix)


def objects_of_module(module: ModuleType, *, specs: bool = False) -> Iterator[Any]:
    """Assets at the top of a module, in lists too, in the order they stand there."""
    for one in _values(module):
        if (
            isinstance(one, SourceAsset)
            or (specs and isinstance(one, AssetSpec))
            or (isinstance(one, AssetsDefinition) and not isinstance(one, AssetChecksDefinition))
        ):
            yield one


def checks_of_module(module: ModuleType) -> Iterator[AssetChecksDefinition]:
    """Checks at the top of a module, in lists too, in the order they stand there."""
    for one in _values(module):
        if isinstance(one, AssetChecksDefinition):
            yield one


def modules_of(package: ModuleType) -> Iterator[ModuleType]:
    """A package and all modules in it, imported."""
    yield package
    for found in pkgutil.walk_packages(getattr(package, "__path__", ()), prefix=f"{package.__name__}."):
        yield importlib.import_module(found.name)


def _values(module: ModuleType) -> Iterator[Any]:
    seen: set[int] = set()
    for value in vars(module).values():
        for one in value if isinstance(value, list) else [value]:
            if id(one) not in seen:
                seen.add(id(one))
                yield one


def _calling_module() -> ModuleType:
    frame = inspect.stack()[2].frame
    module = inspect.getmodule(frame)
    if module is None:
        raise DagsterInvalidDefinitionError("Could not find a module for the caller")
    return module


def _changed(objects: list[Any], group_name: str | None, key_prefix: Prefix, source_key_prefix: Prefix) -> list[Any]:
    new: dict[AssetKey, AssetKey] = {}
    for one in objects:
        prefix = key_prefix if isinstance(one, AssetsDefinition) else source_key_prefix
        if prefix is not None:
            keys = one.specs_by_key if isinstance(one, AssetsDefinition) else {one.key: None}
            new.update({key: key.with_prefix(prefix) for key in keys})
    return [_with(one, new, group_name) for one in objects]


def _with(one: Any, new: dict[AssetKey, AssetKey], group_name: str | None) -> Any:
    if isinstance(one, AssetsDefinition):
        groups = dict.fromkeys(one.specs_by_key, group_name) if group_name is not None else None
        return one.with_attributes(asset_key_replacements=new, group_names_by_key=groups) if new or groups else one
    if isinstance(one, SourceAsset):
        return one.with_attributes(new.get(one.key, one.key), group_name) if new or group_name else one
    parts = {"key": new.get(one.key, one.key), **({"group_name": group_name} if group_name else {})}
    return one.replace_attributes(**parts)


def _prefixed(one: AssetChecksDefinition, prefix: Prefix) -> AssetChecksDefinition:
    if prefix is None:
        return one
    keys = {spec.asset_key for spec in one.check_specs}
    changed = one.with_attributes(asset_key_replacements={key: key.with_prefix(prefix) for key in keys})
    assert isinstance(changed, AssetChecksDefinition)
    return changed
