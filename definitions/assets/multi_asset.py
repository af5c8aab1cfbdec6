"""``@multi_asset``: a function that makes several assets.

Source: https://docs.dagster.io/api/dagster/assets
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from ...events.asset_key import AssetKey
from ..errors import DagsterInvalidDefinitionError
from ..hooks import HookDefinition, checked_hooks
from ..ins_outs import Out
from ..retry_policy import RetryPolicy
from ..value_type import Nothing
from .assets_definition import AssetsDefinition
from .decorated import NOTHING_IN, check_out, inputs_of, op_of, ordering_inputs, outputs_of_checks
from .ins_outs import AssetOut
from .refusals import refuse_later, refuse_later_of
from .spec import AssetCheckSpec, AssetDep, AssetSpec, in_group


def multi_asset(
    *,
    outs: Mapping[str, AssetOut] | None = None,
    name: str | None = None,
    ins: Mapping[str, Any] | None = None,
    deps: Iterable[Any] | None = None,
    description: str | None = None,
    config_schema: Any = None,
    required_resource_keys: AbstractSet[str] | None = None,
    internal_asset_deps: Mapping[str, AbstractSet[AssetKey]] | None = None,
    partitions_def: None = None,
    hooks: AbstractSet[HookDefinition] | None = None,
    backfill_policy: None = None,
    op_tags: Mapping[str, Any] | None = None,
    can_subset: bool = False,
    resource_defs: Mapping[str, Any] | None = None,
    group_name: str | None = None,
    retry_policy: RetryPolicy | None = None,
    code_version: str | None = None,
    specs: Sequence[AssetSpec] | None = None,
    check_specs: Sequence[AssetCheckSpec] | None = None,
    pool: str | None = None,
    **later: Any,
) -> Callable[[Callable[..., Any]], AssetsDefinition]:
    """Make several assets of one function.

    Args:
        outs: the assets by the name of the output; values are returned or yielded, and kept by IO managers.
        specs: the assets, in place of `outs`, when the function keeps them itself.
        name: of the op; not given: the function's name.
        ins, deps, description, config_schema, required_resource_keys, resource_defs, op_tags, retry_policy, code_version, pool:
            as of ``@asset``. Each asset is made from all inputs unless it says otherwise.
        internal_asset_deps: by output, what it is made from; may name other assets of the same function.
        can_subset: the function looks at ``context.selected_asset_keys`` and makes those only.
        group_name: for assets that name none.
        check_specs: checks that the function evaluates itself.
        hooks: called after its steps.
        partitions_def, backfill_policy, **later: not supported yet; refused unless None.

    Raises:
        DagsterInvalidDefinitionError: what was said does not fit together.
        UnsupportedError: an argument that comes in a later version.
    """

    def wrap(fn: Callable[..., Any]) -> AssetsDefinition:
        op_name = name or fn.__name__
        where = f"@multi_asset '{op_name}'"
        refuse_later(where, partitions_def=partitions_def, backfill_policy=backfill_policy)
        refuse_later_of(multi_asset, later)
        if specs is not None and outs is not None:
            raise DagsterInvalidDefinitionError("Must specify only outs or specs but not both.", where=where)
        if specs is not None and internal_asset_deps is not None:
            raise DagsterInvalidDefinitionError(
                "Can not pass internal_asset_deps and specs, specify deps on the AssetSpecs directly.", where=where
            )
        if specs is not None and deps is not None:
            raise DagsterInvalidDefinitionError(
                "Can not pass deps and specs to @multi_asset, specify deps on the AssetSpecs directly.", where=where
            )
        taken, op_ins, plain = inputs_of(fn, ins, deps, where)
        if specs is not None:
            found = _of_specs(specs, taken, group_name, where)
            op_outs = {
                key.to_python_identifier(): Out(
                    Nothing, is_required=not (can_subset or spec.skippable), description=spec.description
                )
                for key, spec in found.items()
            }
        else:
            found = _of_outs(outs or {}, taken, plain, internal_asset_deps or {}, group_name, where)
            op_outs = {output: out.to_out() for output, out in (outs or {}).items()}
        keys_by_output = dict(zip(op_outs, found, strict=True))
        checks = _checks(check_specs, found, where)
        order = _ordering(found, checks, taken)
        op = op_of(
            fn,
            op_name,
            ins={**op_ins, **dict.fromkeys(order, NOTHING_IN)},
            outs={**op_outs, **{output: check_out(required=not can_subset) for output in checks}},
            description=description,
            config_schema=config_schema,
            required_resource_keys=required_resource_keys,
            resource_defs=resource_defs,
            op_tags=op_tags,
            retry_policy=retry_policy,
            code_version=code_version,
            pool=pool,
        )
        return AssetsDefinition(
            op,
            found,
            keys_by_output,
            checks,
            {**taken, **order},
            dict(resource_defs or {}),
            can_subset=can_subset,
            hook_defs=checked_hooks(hooks, where),
        )

    return wrap


def _of_specs(
    specs: Sequence[AssetSpec], taken: Mapping[str, AssetKey], group_name: str | None, where: str
) -> dict[AssetKey, AssetSpec]:
    found: dict[AssetKey, AssetSpec] = {}
    named = {dep.asset_key for spec in specs for dep in spec.deps}
    for spec in specs:
        if spec.key in found:
            raise DagsterInvalidDefinitionError(f"Duplicate asset key: {spec.key!r}", where=where)
        if group_name is not None and spec.group_name is not None:
            raise DagsterInvalidDefinitionError(
                "Cannot set group_name parameter on multi_asset if one or more of the AssetSpecs/AssetOuts supplied to "
                "this multi_asset have a group_name defined.",
                where=where,
            )
        found[spec.key] = spec if group_name is None else in_group(spec, group_name)
    for parameter, key in taken.items():
        if key not in named:
            raise DagsterInvalidDefinitionError(
                f"the parameter '{parameter}' takes the asset {key.to_user_string()}, of which no spec says that it is a "
                "dependency.",
                where=where,
                expected=f"AssetSpec(..., deps=['{key.to_user_string()}'])",
            )
    return found


def _of_outs(
    outs: Mapping[str, AssetOut],
    taken: Mapping[str, AssetKey],
    plain: Sequence[AssetDep],
    internal: Mapping[str, AbstractSet[AssetKey]],
    group_name: str | None,
    where: str,
) -> dict[AssetKey, AssetSpec]:
    own = {name: out.key_for(name) for name, out in outs.items()}
    known = {*own.values(), *taken.values(), *(dep.asset_key for dep in plain)}
    every = [*(AssetDep(key) for key in dict.fromkeys(taken.values())), *plain]
    for name, keys in internal.items():
        if name not in outs:
            raise DagsterInvalidDefinitionError(
                f"Invalid out key '{name}' supplied to `internal_asset_deps` argument",
                where=where,
                expected=", ".join(outs),
            )
        lost = [key.to_user_string() for key in keys if key not in known]
        if lost:
            raise DagsterInvalidDefinitionError(
                f"Invalid asset dependencies: {lost} specified in `internal_asset_deps` argument for multi-asset on key "
                f"'{name}'. Each specified asset key must be associated with an input to the asset or produced by this asset.",
                where=where,
            )
    found: dict[AssetKey, AssetSpec] = {}
    for name, out in outs.items():
        if group_name is not None and out.group_name is not None:
            raise DagsterInvalidDefinitionError(
                "Cannot set group_name parameter on multi_asset if one or more of the AssetSpecs/AssetOuts supplied to "
                "this multi_asset have a group_name defined.",
                where=where,
            )
        deps = [AssetDep(key) for key in sorted(internal[name])] if name in internal else every
        found[own[name]] = out.to_spec(own[name], deps, group_name)
    if len(found) < len(outs):
        raise DagsterInvalidDefinitionError("two outputs are one asset.", where=where)
    return found


def _checks(
    given: Sequence[AssetCheckSpec] | None, specs: Mapping[AssetKey, AssetSpec], where: str
) -> dict[str, AssetCheckSpec]:
    for spec in given or ():
        if spec.asset_key not in specs:
            raise DagsterInvalidDefinitionError(
                f"Invalid asset key {spec.asset_key.to_user_string()} in check spec {spec.name}. Must be one of "
                f"{sorted(key.to_user_string() for key in specs)}",
                where=where,
            )
    return outputs_of_checks(given or ())


def _ordering(
    specs: Mapping[AssetKey, AssetSpec], checks: Mapping[str, AssetCheckSpec], taken: Mapping[str, AssetKey]
) -> dict[str, AssetKey]:
    """Inputs without values, for what some of the assets come after and no parameter takes."""
    wanted = [dep.asset_key for spec in specs.values() for dep in spec.deps]
    wanted += [dep.asset_key for spec in checks.values() for dep in spec.additional_deps]
    return ordering_inputs([key for key in wanted if key not in specs], taken)
