"""``@graph_asset`` and ``@graph_multi_asset``: assets that several ops make.

Source: https://docs.dagster.io/api/dagster/assets
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from ...events.asset_key import AssetKey
from ..errors import DagsterInvalidDefinitionError
from ..graph import graph_of
from ..hooks import HookDefinition, checked_hooks
from ..ins_outs import GraphIn, GraphOut
from ..job import GraphDefinition
from ..results import DEFAULT_OUTPUT
from .asset import asset_key_of
from .assets_definition import AssetsDefinition
from .decorated import inputs_of, outputs_of_checks
from .ins_outs import AssetOut
from .refusals import refuse_later, refuse_later_of
from .spec import AssetCheckSpec, AssetDep, AssetSpec


def graph_asset(
    compose_fn: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    ins: Mapping[str, Any] | None = None,
    config: Any = None,
    key_prefix: str | Sequence[str] | None = None,
    group_name: str | None = None,
    partitions_def: None = None,
    hooks: AbstractSet[HookDefinition] | None = None,
    metadata: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    owners: Sequence[str] | None = None,
    automation_condition: None = None,
    backfill_policy: None = None,
    resource_defs: Mapping[str, Any] | None = None,
    check_specs: Sequence[AssetCheckSpec] | None = None,
    code_version: str | None = None,
    key: Any = None,
    kinds: Iterable[str] | None = None,
    **later: Any,
) -> Any:
    """Make an asset of a function that calls ops; it runs once, now, and what it returns is the asset.

    Args:
        ins: which asset a parameter takes, where it is not the one of the parameter's name.
        config: run config of its ops: a mapping, or a function of the graph's own config.
        name, key_prefix, key, description, group_name, metadata, tags, owners, kinds, code_version, resource_defs: as of ``@asset``.
        check_specs: checks that the graph evaluates: it returns a mapping, with the results under ``<asset>_<check>``.
        hooks: of all its ops.
        partitions_def, automation_condition, backfill_policy, **later: not supported yet; refused unless None.

    Raises:
        DagsterInvalidDefinitionError: the body connects what can not be connected.
        UnsupportedError: an argument that comes in a later version.
    """

    def wrap(fn: Callable[..., Any]) -> AssetsDefinition:
        asset_key = asset_key_of(fn.__name__, name, key_prefix, key)
        where = f"@graph_asset '{asset_key.to_user_string()}'"
        refuse_later(
            where,
            partitions_def=partitions_def,
            automation_condition=automation_condition,
            backfill_policy=backfill_policy,
        )
        refuse_later_of(graph_asset, later)
        checks = outputs_of_checks(check_specs or ())
        taken, _, _ = inputs_of(fn, ins, None, where)
        graph = _graph(
            fn, asset_key.to_python_identifier(), taken, _outs_of_one(asset_key, checks), description, config
        )
        output = next(iter(graph.output_dict))
        spec = AssetSpec(
            asset_key,
            deps=[AssetDep(k) for k in dict.fromkeys(taken.values())],
            description=graph.description,
            metadata=metadata,
            group_name=group_name,
            code_version=code_version,
            owners=owners,
            tags=tags,
            kinds=kinds,
        )
        return AssetsDefinition(
            graph,
            {asset_key: spec},
            {output: asset_key},
            checks,
            taken,
            dict(resource_defs or {}),
            hook_defs=checked_hooks(hooks, where),
        )

    return wrap if compose_fn is None else wrap(compose_fn)


def graph_multi_asset(
    *,
    outs: Mapping[str, AssetOut],
    name: str | None = None,
    ins: Mapping[str, Any] | None = None,
    partitions_def: None = None,
    hooks: AbstractSet[HookDefinition] | None = None,
    backfill_policy: None = None,
    group_name: str | None = None,
    can_subset: bool = False,
    resource_defs: Mapping[str, Any] | None = None,
    check_specs: Sequence[AssetCheckSpec] | None = None,
    config: Any = None,
) -> Callable[[Callable[..., Any]], AssetsDefinition]:
    """Make several assets of a function that calls ops and returns a mapping, or a tuple, of their outputs.

    Args:
        outs: the assets by the name of the graph's output.
        name, ins, group_name, resource_defs, check_specs, config: as of ``@graph_asset``.
        can_subset: not supported yet; refused unless false.
        hooks: called after its steps.
        partitions_def, backfill_policy: not supported yet; refused unless None.

    Raises:
        DagsterInvalidDefinitionError: the body connects what can not be connected.
        UnsupportedError: an argument that comes in a later version.
    """

    def wrap(fn: Callable[..., Any]) -> AssetsDefinition:
        graph_name = name or fn.__name__
        where = f"@graph_multi_asset '{graph_name}'"
        refuse_later(where, partitions_def=partitions_def, backfill_policy=backfill_policy)
        refuse_later_of(graph_multi_asset, {"can_subset": can_subset or None})
        checks = outputs_of_checks(check_specs or ())
        taken, _, _ = inputs_of(fn, ins, None, where)
        graph = _graph(
            fn,
            graph_name,
            taken,
            {n: GraphOut(o.description) for n, o in outs.items()} | _check_outs(checks),
            None,
            config,
        )
        keys = {output: out.key_for(output) for output, out in outs.items()}
        deps = [AssetDep(k) for k in dict.fromkeys(taken.values())]
        specs = {keys[output]: out.to_spec(keys[output], deps, group_name) for output, out in outs.items()}
        return AssetsDefinition(
            graph, specs, keys, checks, taken, dict(resource_defs or {}), hook_defs=checked_hooks(hooks, where)
        )

    return wrap


def _graph(
    fn: Callable[..., Any],
    name: str,
    taken: Mapping[str, AssetKey],
    outs: Mapping[str, GraphOut] | None,
    description: str | None,
    config: Any,
) -> GraphDefinition:
    ins = {parameter: GraphIn() for parameter in taken}
    graph = graph_of(
        GraphDefinition, "@graph_asset", fn, name, description=description, ins=ins, out=outs, config=config
    )
    if not graph.output_dict:
        raise DagsterInvalidDefinitionError(f"@graph_asset '{name}' returns nothing.", expected="the output of an op")
    if any(out.is_dynamic for out in graph.output_dict.values()):
        raise DagsterInvalidDefinitionError(
            f"@graph_asset '{name}' returns a dynamic output.", expected="one value", hint="Collect it into one op."
        )
    return graph


def _outs_of_one(key: AssetKey, checks: Mapping[str, AssetCheckSpec]) -> dict[str, GraphOut] | None:
    """With checks the outputs are named; without, the only one is called ``result``."""
    return {key.to_python_identifier(): GraphOut(), **_check_outs(checks)} if checks else {DEFAULT_OUTPUT: GraphOut()}


def _check_outs(checks: Mapping[str, AssetCheckSpec]) -> dict[str, GraphOut]:
    return {output: GraphOut() for output in checks}
