"""What the decorators of assets and checks have in common: from a function and what was said of it to an op."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ...events.asset_key import AssetKey
from ..errors import DagsterInvalidDefinitionError
from ..ins_outs import UNSET, In, Out
from ..op import OpDefinition
from ..results import DEFAULT_OUTPUT
from ..signature import signature_of
from ..value_type import Nothing
from .ins_outs import AssetIn
from .results import AssetCheckResult, MaterializeResult, ObserveResult
from .spec import AssetCheckSpec, AssetDep, deps_of, key_of

RESULTS = (MaterializeResult, ObserveResult, AssetCheckResult)


def inputs_of(
    fn: Callable[..., Any],
    ins: Mapping[str, Any] | None,
    deps: Iterable[Any] | None,
    where: str,
    *,
    prefix: Sequence[str] = (),
) -> tuple[dict[str, AssetKey], dict[str, In], tuple[AssetDep, ...]]:
    """What a function takes: the asset of each input, the op's inputs, and the dependencies that no parameter takes.

    Args:
        prefix: parts before the keys of parameters of which nothing else is said.

    Raises:
        DagsterInvalidDefinitionError: a dependency that is none, or is there twice.
    """
    given = {name: one if isinstance(one, AssetIn) else AssetIn(key=key_of(one)) for name, one in (ins or {}).items()}
    keys: dict[str, AssetKey] = {}
    op_ins: dict[str, In] = {}
    for name in [*(p.name for p in signature_of(fn).inputs), *given]:
        if name in keys:
            continue
        said = given.get(name, AssetIn())
        keys[name] = said.key_for(name) if said.key or said.key_prefix is not None else AssetKey([*prefix, name])
        op_ins[name] = In(
            dagster_type=said.dagster_type,
            metadata=said.metadata,
            input_manager_key=said.input_manager_key,
        )
    plain = tuple(dep for dep in deps_of(deps, where) if dep.asset_key not in keys.values())
    return keys, op_ins, plain


def ordering_inputs(keys: Iterable[AssetKey], taken: Mapping[str, AssetKey]) -> dict[str, AssetKey]:
    """Names for inputs that carry no value, only the order of steps: one for each key that no input takes."""
    found: dict[str, AssetKey] = {}
    for key in keys:
        if key in taken.values() or key in found.values():
            continue
        name = "_".join(key.path).replace("-", "_").replace(".", "_")
        while name in taken or name in found:
            name += "_"
        found[name] = key
    return found


NOTHING_IN = In(Nothing)


def check_out(required: bool) -> Out:
    """The output that stands for a check: there is no value in it."""
    return Out(is_required=required)


def outputs_of_checks(specs: Iterable[AssetCheckSpec]) -> dict[str, AssetCheckSpec]:
    """Checks by the name of their output.

    Raises:
        DagsterInvalidDefinitionError: one is there twice.
    """
    found: dict[str, AssetCheckSpec] = {}
    for spec in specs:
        if spec.get_python_identifier() in found:
            raise DagsterInvalidDefinitionError(f"Duplicate check specs: {spec.key.to_user_string()}")
        found[spec.get_python_identifier()] = spec
    return found


def value_annotation(fn: Callable[..., Any], *, several: bool) -> Any:
    """The type of the value that a function of one asset returns, where its annotation does not say it as for an op.

    ``MaterializeResult[int]`` is an int for the IO manager; ``MaterializeResult`` alone says nothing of a value.

    Args:
        several: the function also gives results of checks; its annotation is not that of the value then.
    """
    annotation = signature_of(fn).returns
    origin = getattr(annotation, "__origin__", annotation)
    if isinstance(origin, type) and issubclass(origin, RESULTS):
        args = getattr(annotation, "__args__", ())
        return args[0] if args else Any
    return Any if several else UNSET


def op_of(
    fn: Callable[..., Any],
    name: str,
    *,
    ins: Mapping[str, In],
    outs: Mapping[str, Out],
    description: str | None,
    config_schema: Any,
    required_resource_keys: Any,
    resource_defs: Mapping[str, Any] | None,
    op_tags: Mapping[str, Any] | None,
    retry_policy: Any,
    code_version: str | None,
    pool: str | None,
) -> OpDefinition:
    """The op that makes assets or evaluates checks."""
    for key in resource_defs or {}:
        if not key.isidentifier():
            raise DagsterInvalidDefinitionError("a resource key is a Python name.", got=repr(key))
    return OpDefinition(
        fn,
        name,
        description=description,
        ins=ins,
        out=outs[DEFAULT_OUTPUT] if list(outs) == [DEFAULT_OUTPUT] else outs,
        config_schema=UNSET if config_schema is None else config_schema,
        required_resource_keys={*(required_resource_keys or ()), *(resource_defs or {})},
        tags=op_tags,
        retry_policy=retry_policy,
        code_version=code_version,
        pool=pool,
    )
