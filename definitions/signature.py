"""What a decorated function asks for: a context, config, resources, inputs."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from typing import Any

from ..serdes.record import record
from .ins_outs import UNSET

_CONTEXT_NAMES = frozenset({"context", "_context", "context_", "_"})
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@record
class Parameter:
    """One parameter that is an input."""

    name: str
    annotation: Any = UNSET
    default: Any = UNSET
    keyword_only: bool = False


@record
class Signature:
    """What a function asks for.

    Attributes:
        takes_context: its first parameter is the context.
        config: annotation of its parameter ``config``, or UNSET.
        resources: its parameters that are resources, by annotation.
        inputs: the others, in order.
        takes_any: has ``**kwargs``.
        returns: its return annotation, or UNSET.
    """

    takes_context: bool
    config: Any
    resources: tuple[str, ...]
    inputs: tuple[Parameter, ...]
    takes_any: bool
    returns: Any


def signature_of(fn: Callable[..., Any]) -> Signature:
    """The signature of a function that a decorator was given. Annotations that can not be resolved count as absent."""
    parameters = list(inspect.signature(fn).parameters.values())
    annotations = _annotations(fn)
    takes_context = bool(parameters) and parameters[0].kind in _POSITIONAL and parameters[0].name in _CONTEXT_NAMES
    config: Any = UNSET
    resources: list[str] = []
    inputs: list[Parameter] = []
    takes_any = False
    for parameter in parameters[1:] if takes_context else parameters:
        annotation = annotations.get(parameter.name, UNSET)
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            takes_any = True
        elif parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            continue
        elif parameter.name == "config":
            config = Any if annotation is UNSET else annotation
        elif is_resource_annotation(annotation):
            resources.append(parameter.name)
        else:
            default = UNSET if parameter.default is inspect.Parameter.empty else parameter.default
            keyword_only = parameter.kind is inspect.Parameter.KEYWORD_ONLY
            inputs.append(Parameter(parameter.name, annotation, default, keyword_only))
    returns = annotations.get("return", UNSET)
    return Signature(takes_context, config, tuple(resources), tuple(inputs), takes_any, returns)


def is_resource_annotation(annotation: Any) -> bool:
    """Whether a parameter with this annotation is given a resource: a ``ConfigurableResource`` class or ``ResourceParam[...]``."""
    if getattr(annotation, "__runplane_resource__", False):
        return True
    metadata = getattr(annotation, "__metadata__", ())
    return any(getattr(m, "__runplane_resource__", False) for m in metadata)


def _annotations(fn: Callable[..., Any]) -> dict[str, Any]:
    found = dict(getattr(fn, "__annotations__", {}))
    if not any(isinstance(a, str) for a in found.values()):
        return found
    try:
        return typing.get_type_hints(fn, include_extras=True)
    except (NameError, TypeError, AttributeError, SyntaxError):
        return {name: _one_annotation(fn, a) for name, a in found.items()}


def _one_annotation(fn: Callable[..., Any], annotation: Any) -> Any:
    """One annotation of a function some of whose others name what does not exist at run time."""
    try:
        hints = typing.get_type_hints(_holder(annotation), globalns=getattr(fn, "__globals__", {}), include_extras=True)
    except (NameError, TypeError, AttributeError, SyntaxError):
        return UNSET
    return hints["it"]


def _holder(annotation: Any) -> type:
    return type("Holder", (), {"__annotations__": {"it": annotation}})
