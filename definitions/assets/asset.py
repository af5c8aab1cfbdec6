"""``@asset``: a function that makes one asset.

Source: https://docs.dagster.io/api/dagster/assets
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, overload

from ...events.asset_key import AssetKey
from ..errors import DagsterInvalidDefinitionError
from ..hooks import HookDefinition, checked_hooks
from ..ins_outs import Out
from ..results import DEFAULT_OUTPUT
from ..retry_policy import RetryPolicy
from .assets_definition import AssetsDefinition
from .decorated import NOTHING_IN, check_out, inputs_of, op_of, ordering_inputs, outputs_of_checks, value_annotation
from .refusals import refuse_later, refuse_later_of
from .source_asset import own_io_manager
from .spec import AssetCheckSpec, AssetDep, AssetSpec, key_of


@overload
def asset(compute_fn: Callable[..., Any]) -> AssetsDefinition: ...


@overload
def asset(
    compute_fn: None = None,
    *,
    name: str | None = None,
    key_prefix: str | Sequence[str] | None = None,
    ins: Mapping[str, Any] | None = None,
    deps: Iterable[Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    description: str | None = None,
    config_schema: Any = None,
    required_resource_keys: AbstractSet[str] | None = None,
    resource_defs: Mapping[str, Any] | None = None,
    hooks: AbstractSet[HookDefinition] | None = None,
    io_manager_def: Any = None,
    io_manager_key: str | None = None,
    dagster_type: Any = None,
    partitions_def: None = None,
    op_tags: Mapping[str, Any] | None = None,
    group_name: str | None = None,
    output_required: bool = True,
    automation_condition: None = None,
    freshness_policy: None = None,
    backfill_policy: None = None,
    retry_policy: RetryPolicy | None = None,
    code_version: str | None = None,
    key: Any = None,
    check_specs: Sequence[AssetCheckSpec] | None = None,
    owners: Sequence[str] | None = None,
    kinds: Iterable[str] | None = None,
    pool: str | None = None,
    **later: Any,
) -> Callable[[Callable[..., Any]], AssetsDefinition]: ...


def asset(
    compute_fn: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    key_prefix: str | Sequence[str] | None = None,
    ins: Mapping[str, Any] | None = None,
    deps: Iterable[Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    description: str | None = None,
    config_schema: Any = None,
    required_resource_keys: AbstractSet[str] | None = None,
    resource_defs: Mapping[str, Any] | None = None,
    hooks: AbstractSet[HookDefinition] | None = None,
    io_manager_def: Any = None,
    io_manager_key: str | None = None,
    dagster_type: Any = None,
    partitions_def: None = None,
    op_tags: Mapping[str, Any] | None = None,
    group_name: str | None = None,
    output_required: bool = True,
    automation_condition: None = None,
    freshness_policy: None = None,
    backfill_policy: None = None,
    retry_policy: RetryPolicy | None = None,
    code_version: str | None = None,
    key: Any = None,
    check_specs: Sequence[AssetCheckSpec] | None = None,
    owners: Sequence[str] | None = None,
    kinds: Iterable[str] | None = None,
    pool: str | None = None,
    **later: Any,
) -> Any:
    """Make an asset of a function: its parameters are the assets it is made from, what it returns is kept by an IO manager.

    Args:
        name: last part of its key; not given: the function's name.
        key_prefix: parts before it.
        ins: which asset a parameter takes, where it is not the one of the parameter's name.
        deps: assets that it comes after without taking their values.
        metadata, tags, description, group_name, owners, kinds, code_version: said of the asset; see ``AssetSpec``.
        config_schema: the shape of its config.
        required_resource_keys: the resources it uses by ``context.resources``.
        resource_defs: resources of its own.
        io_manager_key: the resource that keeps it; `io_manager_def`: an IO manager of its own.
        dagster_type: its type; not given: from the return annotation.
        op_tags: for launchers and executors (``dagster-k8s/config``, ...).
        output_required: False: a run may leave it unmade by yielding nothing.
        retry_policy: how often it is run again when it fails.
        key: the whole key, in place of name and prefix.
        check_specs: checks that the function evaluates itself.
        pool: the pool a slot of which it needs to run.
        hooks: called after its step.
        partitions_def, automation_condition, freshness_policy, backfill_policy, **later: not supported yet; refused
            unless None.

    Raises:
        DagsterInvalidDefinitionError: what was said does not fit together.
        UnsupportedError: an argument that comes in a later version.
    """

    def wrap(fn: Callable[..., Any]) -> AssetsDefinition:
        asset_key = asset_key_of(fn.__name__, name, key_prefix, key)
        where = f"@asset '{asset_key.to_user_string()}'"
        refuse_later(
            where,
            partitions_def=partitions_def,
            automation_condition=automation_condition,
            freshness_policy=freshness_policy,
            backfill_policy=backfill_policy,
        )
        refuse_later_of(asset, later)
        checks = outputs_of_checks(check_specs or ())
        for check in checks.values():
            if check.asset_key != asset_key:
                raise DagsterInvalidDefinitionError(
                    f"Invalid asset key {check.asset_key.to_user_string()} in check spec {check.name}. Must be one of "
                    f"[{asset_key.to_user_string()}]",
                    where=where,
                )
        taken, op_ins, plain = inputs_of(fn, ins, deps, where)
        others = [dep.asset_key for check in checks.values() for dep in check.additional_deps]
        order = ordering_inputs([*(dep.asset_key for dep in plain), *others], taken)
        io_key, own = own_io_manager(asset_key, io_manager_key, io_manager_def)
        declared = dagster_type if dagster_type is not None else value_annotation(fn, several=bool(checks))
        op = op_of(
            fn,
            asset_key.to_python_identifier(),
            ins={**op_ins, **dict.fromkeys(order, NOTHING_IN)},
            outs={
                DEFAULT_OUTPUT: Out(
                    dagster_type=declared,
                    is_required=output_required,
                    io_manager_key=io_key,
                    metadata=metadata,
                    description=description,
                    code_version=code_version,
                ),
                **{output: check_out(required=True) for output in checks},
            },
            description=description,
            config_schema=config_schema,
            required_resource_keys=required_resource_keys,
            resource_defs=resource_defs,
            op_tags=op_tags,
            retry_policy=retry_policy,
            code_version=code_version,
            pool=pool,
        )
        spec = AssetSpec(
            asset_key,
            deps=[*(AssetDep(k) for k in dict.fromkeys(taken.values())), *plain],
            description=op.description,
            metadata=metadata,
            skippable=not output_required,
            group_name=group_name,
            code_version=code_version,
            owners=owners,
            tags=tags,
            kinds=kinds,
        )
        return AssetsDefinition(
            op,
            {asset_key: spec},
            {DEFAULT_OUTPUT: asset_key},
            checks,
            {**taken, **order},
            {**(resource_defs or {}), **own},
            hook_defs=checked_hooks(hooks, where),
        )

    return wrap if compute_fn is None else wrap(compute_fn)


def asset_key_of(function: str, name: str | None, key_prefix: str | Sequence[str] | None, key: Any) -> AssetKey:
    """The key of an asset that a function makes, by what its decorator was told."""
    if key is not None:
        if name is not None or key_prefix is not None:
            raise DagsterInvalidDefinitionError("Cannot provide both key and name or key_prefix for asset")
        return key_of(key)
    prefix = [key_prefix] if isinstance(key_prefix, str) else list(key_prefix or ())
    return AssetKey([*prefix, name or function])
