"""``@op``: a function that is one step of a job.

Source: https://docs.dagster.io/api/dagster/ops
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, overload

from .composition import PendingNode
from .config_mapping import configured_field
from .config_schema import Field, as_field
from .direct import call_op
from .errors import DagsterInvalidDefinitionError
from .hooks import HookDefinition
from .ins_outs import UNSET, In, InputDefinition, Out, OutputDefinition, input_from, output_from
from .names import check_name
from .results import DEFAULT_OUTPUT
from .retry_policy import RetryPolicy
from .signature import Signature, signature_of


class OpDefinition:
    """An op: its function, what goes in and out, and what it needs.

    Attributes:
        name: its name.
        compute_fn: the user's function.
        signature: what that function asks for.
        config_field: schema of its config; None when it takes none.
        required_resource_keys: the resources it needs, those of its parameters included.
        tags: as the user gave them (values may be any JSON).
        retry_policy: its own, or None.
        pool: name of the pool a slot of which it needs, or None.
    """

    kind = "op"

    def __init__(
        self,
        compute_fn: Callable[..., Any],
        name: str,
        *,
        description: str | None = None,
        ins: Mapping[str, In] | None = None,
        out: Out | Mapping[str, Out] | None = None,
        config_schema: Any = UNSET,
        required_resource_keys: AbstractSet[str] | None = None,
        tags: Mapping[str, Any] | None = None,
        retry_policy: RetryPolicy | None = None,
        code_version: str | None = None,
        pool: str | None = None,
    ) -> None:
        self.name = check_name(name)
        self.compute_fn = compute_fn
        self.signature = signature_of(compute_fn)
        self.description = description or compute_fn.__doc__
        self._ins = _inputs(name, self.signature, ins or {})
        self._outs = _outputs(self.signature, out)
        self.config_field = _config_field(name, self.signature, config_schema)
        self.required_resource_keys = frozenset(required_resource_keys or ()) | frozenset(self.signature.resources)
        self.tags: Mapping[str, Any] = dict(tags or {})
        self.retry_policy = retry_policy
        self.version = code_version
        self.pool = pool
        functools.update_wrapper(self, compute_fn, updated=())

    @property
    def input_dict(self) -> Mapping[str, InputDefinition]:
        """Its inputs by name, in order."""
        return self._ins

    @property
    def output_dict(self) -> Mapping[str, OutputDefinition]:
        """Its outputs by name, in order."""
        return self._outs

    @property
    def input_defs(self) -> list[InputDefinition]:
        """Its inputs, in order."""
        return list(self._ins.values())

    @property
    def output_defs(self) -> list[OutputDefinition]:
        """Its outputs, in order."""
        return list(self._outs.values())

    @property
    def config_schema(self) -> Field | None:
        """The schema of its config."""
        return self.config_field

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Inside the body of a ``@job`` or ``@graph``: a node of it. Elsewhere: a call of the user's function."""
        return PendingNode(self)(*args, **kwargs)

    def call_outside(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """The call as a plain function (tests do that)."""
        return call_op(self, args, kwargs)

    def alias(self, name: str) -> PendingNode:
        """The op under another name in the graph."""
        return PendingNode(self).alias(name)

    def tag(self, tags: Mapping[str, Any]) -> PendingNode:
        """The op with more tags in the graph."""
        return PendingNode(self).tag(tags)

    def with_retry_policy(self, retry_policy: RetryPolicy) -> PendingNode:
        """The op with this retry policy in the graph."""
        return PendingNode(self).with_retry_policy(retry_policy)

    def configured(
        self, config_or_config_fn: Any, name: str, config_schema: Any = UNSET, description: str | None = None
    ) -> OpDefinition:
        """The same op under another name with its config given now, or made from another config by a function."""
        made = copy.copy(self)
        made.name = check_name(name)
        made.description = description or self.description
        made.config_field = configured_field(self.config_field, config_or_config_fn, config_schema)
        return made

    def with_hooks(self, hook_defs: AbstractSet[HookDefinition]) -> PendingNode:
        """The op with hooks in the graph."""
        return PendingNode(self).with_hooks(hook_defs)

    def __repr__(self) -> str:
        return f"<op {self.name}>"


def _inputs(op_name: str, signature: Signature, declared: Mapping[str, In]) -> dict[str, InputDefinition]:
    found = {p.name: input_from(p.name, declared.get(p.name, In()), p.annotation, p.default) for p in signature.inputs}
    missing = []
    for name, spec in declared.items():
        if name in found:
            continue
        found[check_name(name)] = input_from(name, spec, UNSET, UNSET)
        if not found[name].type.is_nothing and not signature.takes_any:
            missing.append(name)
    if missing:
        names = ", ".join(f"'{n}'" for n in missing)
        raise DagsterInvalidDefinitionError(
            f"@op '{op_name}' decorated function does not have argument(s) {names}. @op-decorated functions should have "
            "an argument for each of their Ins, except for Ins that have the Nothing dagster_type. Alternatively, they "
            "can accept **kwargs."
        )
    return found


def _outputs(signature: Signature, out: Out | Mapping[str, Out] | None) -> dict[str, OutputDefinition]:
    if isinstance(out, Mapping):
        parts = _tuple_parts(signature.returns, len(out))
        return {check_name(n): output_from(n, spec, part) for (n, spec), part in zip(out.items(), parts, strict=False)}
    spec = out if out is not None else Out()
    return {DEFAULT_OUTPUT: output_from(DEFAULT_OUTPUT, spec, _single_return(signature.returns, spec))}


def _single_return(annotation: Any, spec: Out) -> Any:
    """The type of the value that the only output carries, from the function's return annotation."""
    name = getattr(getattr(annotation, "__origin__", annotation), "__name__", "")
    if spec.is_dynamic or name in (
        "Generator",
        "Iterator",
        "Iterable",
        "AsyncGenerator",
        "AsyncIterator",
        "DynamicOutput",
    ):
        return UNSET
    if name == "Output":
        args = getattr(annotation, "__args__", ())
        return args[0] if args else UNSET
    return annotation


def _tuple_parts(annotation: Any, count: int) -> list[Any]:
    args = getattr(annotation, "__args__", ())
    is_tuple = getattr(annotation, "__origin__", None) is tuple and len(args) == count and Ellipsis not in args
    return [_single_return(a, Out()) for a in args] if is_tuple else [UNSET] * count


def _config_field(op_name: str, signature: Signature, declared: Any) -> Field | None:
    if declared is not UNSET and declared is not None:
        if signature.config is not UNSET:
            raise DagsterInvalidDefinitionError(
                f"@op '{op_name}' has a parameter `config` and a `config_schema`.", expected="one of them"
            )
        return as_field(declared)
    return None if signature.config is UNSET else as_field(signature.config)


@overload
def op(compute_fn: Callable[..., Any]) -> OpDefinition: ...


@overload
def op(
    compute_fn: None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    ins: Mapping[str, In] | None = None,
    out: Out | Mapping[str, Out] | None = None,
    config_schema: Any = UNSET,
    required_resource_keys: AbstractSet[str] | None = None,
    tags: Mapping[str, Any] | None = None,
    version: str | None = None,
    retry_policy: RetryPolicy | None = None,
    code_version: str | None = None,
    pool: str | None = None,
) -> Callable[[Callable[..., Any]], OpDefinition]: ...


def op(
    compute_fn: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    ins: Mapping[str, In] | None = None,
    out: Out | Mapping[str, Out] | None = None,
    config_schema: Any = UNSET,
    required_resource_keys: AbstractSet[str] | None = None,
    tags: Mapping[str, Any] | None = None,
    version: str | None = None,
    retry_policy: RetryPolicy | None = None,
    code_version: str | None = None,
    pool: str | None = None,
) -> Any:
    """Make an op of a function: one step of a job.

    Args:
        name: not given: the function's.
        description: not given: the function's docstring.
        ins: its inputs; those that are parameters need not be named.
        out: its output, or several by name; not given: one called ``result``.
        config_schema: the shape of its config.
        required_resource_keys: the resources it uses by ``context.resources``.
        tags: for launchers and executors (``dagster-k8s/config``, ``dagster/priority``, ...).
        version: older name of `code_version`.
        retry_policy: how often it is run again when it fails.
        code_version: version of its code, as text.
        pool: the pool a slot of which it needs to run.

    Raises:
        DagsterInvalidDefinitionError: a bad name, an input without a parameter, a config schema that is none.
    """

    def wrap(fn: Callable[..., Any]) -> OpDefinition:
        return OpDefinition(
            fn,
            name or fn.__name__,
            description=description,
            ins=ins,
            out=out,
            config_schema=config_schema,
            required_resource_keys=required_resource_keys,
            tags=tags,
            retry_policy=retry_policy,
            code_version=code_version or version,
            pool=pool,
        )

    return wrap if compute_fn is None else wrap(compute_fn)
