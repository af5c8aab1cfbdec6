"""An op called as a plain function, outside a job: how tests try the code of one op.

Source: https://docs.dagster.io/guides/test/unit-testing-assets-and-ops
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, Protocol

from ..errors.base import ConfigErrors, UnsupportedError
from ..errors.problems import Problems
from ..events.run import Run
from .composition import Invocable
from .config_schema import Field
from .errors import DagsterInvalidInvocationError, DagsterTypeCheckDidNotPass
from .ins_outs import UNSET, InputDefinition, OutputDefinition
from .op_context import OpExecutionContext
from .resources import Resources, is_definition, opened_resources
from .signature import Signature


class CallableOp(Invocable, Protocol):
    """What of an op its call needs."""

    compute_fn: Callable[..., Any]
    signature: Signature
    config_field: Field | None


class DirectOpContext(OpExecutionContext):
    """The context of calls outside a run. Resources are open for the time of a call, or of a ``with`` block around several."""

    def __init__(self, given: Mapping[str, Any], given_config: Mapping[str, Any], **facts: Any) -> None:
        super().__init__(op_def=None, **facts)
        self._given = given
        self._given_config = given_config
        self._block: ExitStack | None = None
        # Objects that are no definitions are there without being opened.
        self.resources = Resources({k: v for k, v in given.items() if not is_definition(v)})

    def open_resources(self, stack: ExitStack) -> None:
        """Make the given resources, if they are not open; `stack` closes them."""
        if self._block is None:
            opening = opened_resources(self._given, self._given_config, instance=self.instance)
            self.resources = stack.enter_context(opening)

    def __enter__(self) -> DirectOpContext:
        stack = ExitStack()
        self.open_resources(stack)
        self._block = stack
        return self

    def __exit__(self, *error: Any) -> None:
        block, self._block = self._block, None
        if block is not None:
            block.__exit__(*error)


def build_op_context(
    resources: Mapping[str, Any] | None = None,
    op_config: Any = None,
    resources_config: Mapping[str, Any] | None = None,
    instance: Any = None,
    config: Any = None,
    partition_key: str | None = None,
    partition_key_range: Any = None,
    mapping_key: str | None = None,
    run_tags: Mapping[str, str] | None = None,
    event_loop: Any = None,
) -> OpExecutionContext:
    """A context with which an op is called as a function, in tests.

    Args:
        resources: resources, or their definitions, by key.
        op_config: the op's config.
        resources_config: config of the resources that are definitions, by key.
        instance: the instance that user code sees.
        config: other name of `op_config`.
        mapping_key: what ``context.get_mapping_key()`` gives.
        run_tags: tags of the run that user code sees.
        partition_key, partition_key_range: not supported yet; refused unless None.
        event_loop: kept out: asynchronous ops are awaited by who calls them.

    Raises:
        UnsupportedError: a partition was asked for.
    """
    if partition_key is not None or partition_key_range is not None:
        raise UnsupportedError(
            "build_op_context can not stand for a partition in this version.",
            hint="Leave partition_key and partition_key_range out.",
        )
    return DirectOpContext(
        dict(resources or {}),
        dict(resources_config or {}),
        op_config=config if op_config is None else op_config,
        run=Run(run_id="EPHEMERAL", job_name="EPHEMERAL", tags=dict(run_tags)) if run_tags else None,
        mapping_key=mapping_key,
        instance=instance,
    )


def call_op(op: CallableOp, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Call the function of `op` with a context (if it takes one), config, resources and input values.

    Raises:
        DagsterInvalidInvocationError: an argument is missing, or there are too many.
    """
    signature = op.signature
    rest = list(args)
    context = rest.pop(0) if rest and isinstance(rest[0], OpExecutionContext) else None
    if signature.takes_context and context is None:
        raise DagsterInvalidInvocationError(
            f"Decorated function '{op.name}' has context argument, but no context was provided when invoking."
        )
    with ExitStack() as stack:
        if context is not None:
            context.op_def = op
            if isinstance(context, DirectOpContext):
                context.open_resources(stack)
        given = dict(kwargs)
        bound = {**_config(op, context, rest, given), **_resources(signature, context, given)}
        bound.update(_inputs(op, rest, given))
        made = op.compute_fn(context, **bound) if signature.takes_context else op.compute_fn(**bound)
        return _checked_result(op, made)


def _checked_result(op: CallableOp, made: Any) -> Any:
    """What the function gave; values that it returned are of their declared types."""
    outs = list(op.output_dict.values())
    if len(outs) == 1:
        _check(op, "output", outs[0], made)
    elif isinstance(made, tuple) and len(made) == len(outs):
        for out, part in zip(outs, made, strict=True):
            _check(op, "output", out, part)
    return made


def _check(op: CallableOp, what: str, spec: InputDefinition | OutputDefinition, value: Any) -> None:
    """Raise DagsterTypeCheckDidNotPass if a plain value is not of the type of its input or output."""
    is_stream = hasattr(value, "__next__") or hasattr(value, "__anext__") or hasattr(value, "__await__")
    if spec.type.is_any or spec.type.is_nothing or is_stream or hasattr(value, "output_name"):
        return
    if isinstance(spec, OutputDefinition) and spec.is_dynamic:
        return
    context = spec.type.make_context("EPHEMERAL", logging.getLogger("dagster"), Resources({}))
    check = spec.type.type_check(context, value)
    if not check.success:
        said = f" Description: {check.description}" if check.description else ""
        raise DagsterTypeCheckDidNotPass(
            f'Type check failed for op "{op.name}" {what} "{spec.name}" - expected type "{spec.type.display_name}".{said}',
            description=check.description,
            metadata=check.metadata,
            dagster_type=spec.type,
        )


def _config(
    op: CallableOp, context: OpExecutionContext | None, rest: list[Any], given: dict[str, Any]
) -> dict[str, Any]:
    annotation = op.signature.config
    if annotation is UNSET:
        return {}
    if "config" in given:
        return {"config": given.pop("config")}
    if isinstance(annotation, type) and rest and isinstance(rest[0], annotation):
        return {"config": rest.pop(0)}
    if context is None or op.config_field is None:
        raise DagsterInvalidInvocationError(f"No value provided for the config of op '{op.name}'.")
    problems = Problems("config")
    value = op.config_field.config_type.read(context.op_config, problems, {})
    if problems.found:
        raise ConfigErrors(problems.found, where=f"op '{op.name}'")
    return {"config": config_argument(annotation, value)}


def config_argument(annotation: Any, value: Any) -> Any:
    """What the parameter ``config`` is given: an object of a config class, or the plain value."""
    make = getattr(annotation, "runplane_from_config", None)
    return value if make is None else make(value)


def _resources(signature: Signature, context: OpExecutionContext | None, given: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for key in signature.resources:
        if key in given:
            found[key] = given.pop(key)
        elif context is not None:
            found[key] = getattr(context.resources, key)
        else:
            raise DagsterInvalidInvocationError(f'No value provided for required resource "{key}".')
    return found


def _inputs(op: CallableOp, rest: list[Any], given: dict[str, Any]) -> dict[str, Any]:
    by_parameter = {p.name for p in op.signature.inputs}
    names = [n for n, spec in op.input_dict.items() if not spec.type.is_nothing or n in by_parameter]
    if len(rest) > len(names):
        raise DagsterInvalidInvocationError(
            f"Too many input arguments were provided for op '{op.name}'. This may be because an argument was provided for "
            "the context parameter, but no context parameter was defined for the op."
        )
    bound = dict(zip(names, rest, strict=False))
    for name, value in given.items():
        if name not in names:
            raise DagsterInvalidInvocationError(f"op '{op.name}' has no input '{name}'.", expected=", ".join(names))
        bound[name] = value
    for name in names:
        spec = op.input_dict[name]
        if name in bound:
            _check(op, "input", spec, bound[name])
            continue
        if spec.has_default:
            bound[name] = spec.default_value
        elif not spec.type.is_nothing:
            raise DagsterInvalidInvocationError(f'No value provided for required input "{name}".')
    return bound
