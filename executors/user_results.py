"""What an op's function gives, as a stream of outputs: a value, several, a generator, a coroutine."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any, Union

from .. import executors
from ..definitions.errors import DagsterInvariantViolationError
from ..definitions.ins_outs import OutputDefinition
from ..definitions.op import OpDefinition
from ..definitions.results import DynamicOutput, Output
from ..definitions.step_assets import Notable, StepAssets, StepNote

AnyOutput = Union[Output[Any], DynamicOutput[Any]]  # noqa: UP007 - used at run time on 3.10


def outputs_of(
    op: OpDefinition, arguments: Mapping[str, Any], context: Any, assets: StepAssets
) -> Iterator[AnyOutput | StepNote]:
    """Call the op's function and give each output, and each event, as soon as it is there. Raises what the function raises."""
    made = op.compute_fn(context, **arguments) if op.signature.takes_context else op.compute_fn(**arguments)
    if inspect.iscoroutine(made):
        made = executors.awaiting.result_of(made)
    if not inspect.isgenerator(made) and not inspect.isasyncgen(made):
        made = assets.returned(made)
    if inspect.isasyncgen(made):
        made = executors.awaiting.items_of(made)
    elif not inspect.isgenerator(made):
        yield from _returned(op, made)
        return
    for item in made:
        for part in assets.results(item, context):
            yield _checked_yield(op, part)


def _checked_yield(op: OpDefinition, item: Any) -> AnyOutput | StepNote:
    if isinstance(item, (Output, DynamicOutput, StepNote)):
        return item
    if isinstance(item, Notable):
        return item.to_note()
    raise DagsterInvariantViolationError(
        f'Compute function for op "{op.name}" yielded a value of type {type(item)} rather than an instance of Output, '
        "AssetMaterialization, or ExpectationResult. Values yielded by ops must be wrapped in one of these types. If your "
        "op has a single output and yields no other events, you may want to use `return` instead of `yield` in the body of "
        "your op compute function. If you are already using `return`, and you expected to return a value of type "
        f"{type(item)}, you may be inadvertently returning a generator rather than the value you expected."
    )


def _returned(op: OpDefinition, value: Any) -> Iterator[AnyOutput]:
    if isinstance(value, Notable):
        raise DagsterInvariantViolationError(
            f'Error in op "{op.name}": an event ({type(value).__name__}) was returned, in the place of a value.',
            hint="`yield` it, or hand it to `context.log_event`.",
        )
    outs = list(op.output_dict.values())
    if len(outs) == 1:
        yield from _of_one(op, outs[0], value)
        return
    if value is None and all(out.type.is_nothing or not out.is_required for out in outs):
        return
    if not isinstance(value, tuple):
        raise DagsterInvariantViolationError(
            f'op "{op.name}" has multiple outputs, but only one output was returned of type {type(value)}. When using '
            "multiple outputs, either yield each output, or return a tuple containing a value for each output."
        )
    if len(value) != len(outs):
        raise DagsterInvariantViolationError(
            f'Length mismatch between returned tuple of outputs and number of output defs on op "{op.name}". '
            f"Output tuple has {len(value)} outputs, while op has {len(outs)} outputs."
        )
    for out, part in zip(outs, value, strict=True):
        yield from _of_one(op, out, part)


def _of_one(op: OpDefinition, out: OutputDefinition, value: Any) -> Iterator[AnyOutput]:
    if out.is_dynamic:
        yield from _of_dynamic(op, out, value)
    elif isinstance(value, DynamicOutput):
        yield value
    elif isinstance(value, Output):
        if value.output_name not in (out.name, "result"):
            raise DagsterInvariantViolationError(
                f'Bad state: Output was explicitly named "{value.output_name}", which does not match the output definition '
                f'specified for position: "{out.name}".'
            )
        value.output_name = out.name
        yield value
    else:
        yield Output(value, out.name)


def _of_dynamic(op: OpDefinition, out: OutputDefinition, value: Any) -> Iterator[AnyOutput]:
    if not isinstance(value, list) or not all(isinstance(item, DynamicOutput) for item in value):
        raise DagsterInvariantViolationError(
            f'Error with output for op "{op.name}": dynamic output "{out.name}" expected a list of DynamicOutput objects, '
            f"but instead received instead an object of type {type(value)}."
        )
    for item in value:
        item.output_name = out.name
        yield item
