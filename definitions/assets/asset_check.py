"""``@asset_check`` and ``@multi_asset_check``: functions that look at assets that others make.

Source: https://docs.dagster.io/api/dagster/asset-checks
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from ..errors import DagsterInvalidDefinitionError
from ..results import DEFAULT_OUTPUT
from ..retry_policy import RetryPolicy
from ..signature import signature_of
from .assets_definition import AssetChecksDefinition
from .decorated import NOTHING_IN, check_out, inputs_of, op_of, ordering_inputs, outputs_of_checks
from .ins_outs import AssetIn
from .spec import AssetCheckSpec, AssetDep, deps_of, key_of


def asset_check(
    *,
    asset: Any,
    name: str | None = None,
    description: str | None = None,
    blocking: bool = False,
    additional_ins: Mapping[str, Any] | None = None,
    additional_deps: Iterable[Any] | None = None,
    required_resource_keys: AbstractSet[str] | None = None,
    resource_defs: Mapping[str, Any] | None = None,
    config_schema: Any = None,
    compute_kind: str | None = None,
    op_tags: Mapping[str, Any] | None = None,
    retry_policy: RetryPolicy | None = None,
    metadata: Mapping[str, Any] | None = None,
    automation_condition: None = None,
    pool: str | None = None,
    partitions_def: None = None,
) -> Callable[[Callable[..., Any]], AssetChecksDefinition]:
    """Make a check of a function that returns an ``AssetCheckResult``.

    The function may take the asset's value as a parameter (of any name); without one it only comes after it.

    Args:
        asset: the asset that it checks.
        name: of the check; not given: the function's name.
        description: not given: the docstring.
        blocking: when it fails with severity ERROR, what is downstream of the asset does not run.
        additional_ins: other assets whose values parameters take.
        additional_deps: other assets that it comes after.
        required_resource_keys, resource_defs, config_schema, op_tags, retry_policy, pool: as of ``@asset``.
        compute_kind: kept as a tag of the op (the older form of kinds).
        metadata: shown with the check.
        automation_condition, partitions_def: not supported yet; refused unless None.

    Raises:
        DagsterInvalidDefinitionError: parameters that stand for no asset.
    """

    def wrap(fn: Callable[..., Any]) -> AssetChecksDefinition:
        spec = AssetCheckSpec(
            name or fn.__name__,
            asset=asset,
            description=description or fn.__doc__,
            additional_deps=[*deps_of(additional_deps, "additional_deps"), *_keys_of(additional_ins)],
            blocking=blocking,
            metadata=metadata,
            automation_condition=automation_condition,
            partitions_def=partitions_def,
        )
        where = f"@asset_check '{spec.name}'"
        ins = dict(additional_ins or {})
        primary = [p.name for p in signature_of(fn).inputs if p.name not in ins]
        if len(primary) > 1:
            raise DagsterInvalidDefinitionError(
                "When defining a check, there can be at most one parameter that takes the checked asset's value.",
                where=where,
                got=", ".join(primary),
                hint="Name what the others take in additional_ins.",
            )
        taken, op_ins, _ = inputs_of(fn, {**ins, **dict.fromkeys(primary, AssetIn(key=spec.asset_key))}, None, where)
        order = ordering_inputs([spec.asset_key, *(dep.asset_key for dep in spec.additional_deps)], taken)
        op = op_of(
            fn,
            f"{spec.asset_key.to_python_identifier()}_{spec.name}",
            ins={**op_ins, **dict.fromkeys(order, NOTHING_IN)},
            outs={DEFAULT_OUTPUT: check_out(required=True)},
            description=description,
            config_schema=config_schema,
            required_resource_keys=required_resource_keys,
            resource_defs=resource_defs,
            op_tags=_with_kind(op_tags, compute_kind),
            retry_policy=retry_policy,
            code_version=None,
            pool=pool,
        )
        return AssetChecksDefinition(op, {}, {}, {DEFAULT_OUTPUT: spec}, {**taken, **order}, dict(resource_defs or {}))

    return wrap


def multi_asset_check(
    *,
    name: str | None = None,
    specs: Sequence[AssetCheckSpec],
    description: str | None = None,
    can_subset: bool = False,
    compute_kind: str | None = None,
    op_tags: Mapping[str, Any] | None = None,
    resource_defs: Mapping[str, Any] | None = None,
    required_resource_keys: AbstractSet[str] | None = None,
    retry_policy: RetryPolicy | None = None,
    config_schema: Any = None,
    ins: Mapping[str, Any] | None = None,
    pool: str | None = None,
) -> Callable[[Callable[..., Any]], AssetChecksDefinition]:
    """Make several checks, of one asset or of several, of one function that yields ``AssetCheckResult``.

    Args:
        specs: the checks.
        can_subset: the function looks at ``context.selected_asset_check_keys`` and evaluates those only.
        ins: assets whose values parameters take.
        name, description, compute_kind, op_tags, resource_defs, required_resource_keys, retry_policy, config_schema, pool: as of
            ``@asset_check``; the name is the op's.

    Raises:
        DagsterInvalidDefinitionError: a parameter that stands for no asset, a check that is there twice.
    """

    def wrap(fn: Callable[..., Any]) -> AssetChecksDefinition:
        op_name = name or fn.__name__
        where = f"@multi_asset_check '{op_name}'"
        unknown = [p.name for p in signature_of(fn).inputs if p.name not in (ins or {})]
        if unknown:
            raise DagsterInvalidDefinitionError(
                "parameters that stand for no asset.", where=where, got=", ".join(unknown), hint="Name them in ins."
            )
        taken, op_ins, _ = inputs_of(fn, ins, None, where)
        checks = outputs_of_checks(specs)
        wanted = [key for spec in specs for key in (spec.asset_key, *(d.asset_key for d in spec.additional_deps))]
        order = ordering_inputs(dict.fromkeys(wanted), taken)
        op = op_of(
            fn,
            op_name,
            ins={**op_ins, **dict.fromkeys(order, NOTHING_IN)},
            outs={output: check_out(required=not can_subset) for output in checks},
            description=description,
            config_schema=config_schema,
            required_resource_keys=required_resource_keys,
            resource_defs=resource_defs,
            op_tags=_with_kind(op_tags, compute_kind),
            retry_policy=retry_policy,
            code_version=None,
            pool=pool,
        )
        return AssetChecksDefinition(
            op, {}, {}, checks, {**taken, **order}, dict(resource_defs or {}), can_subset=can_subset
        )

    return wrap


def _keys_of(ins: Mapping[str, Any] | None) -> list[AssetDep]:
    keys = {name: one.key_for(name) if isinstance(one, AssetIn) else key_of(one) for name, one in (ins or {}).items()}
    return [AssetDep(key) for key in dict.fromkeys(keys.values())]


def _with_kind(tags: Mapping[str, Any] | None, compute_kind: str | None) -> Mapping[str, Any] | None:
    return tags if compute_kind is None else {**(tags or {}), "dagster/compute_kind": compute_kind}
