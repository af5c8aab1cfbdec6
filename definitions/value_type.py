"""Python annotations as checks of values at run time, with the names and texts of Dagster's types.

Source: https://docs.dagster.io/api/dagster/types
"""

from __future__ import annotations

import collections.abc
import logging
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .results import TypeCheck

Check = Callable[[Any], "str | None"]
"""Gives the reason why a value is not of the type, or None when it is."""


@dataclass(eq=False)
class ValueType:
    """A declared type. What users declare with a check of their own is a ``DagsterType``, which is one too.

    Attributes:
        display_name: how events call it (``Int``, ``[String]``).
        check: the reason why a value is not of it, or None.
        is_nothing: carries no value, only the order of steps.
        is_any: takes everything, unchecked.
        scalar: the plain type that run config can give a value of directly, or None.
    """

    display_name: str
    check: Check
    is_nothing: bool = False
    is_any: bool = False
    scalar: type | None = None
    loader: Any = field(default=None, init=False)
    """Makes a value of what run config says (a ``DagsterTypeLoader``), or None."""
    required_resource_keys: frozenset[str] = field(default=frozenset(), init=False)
    """The resources that its check uses."""

    def make_context(self, run_id: str, log: logging.Logger, resources: Any) -> Any:
        """What its check asks for: nothing here, a ``TypeCheckContext`` where the check is the user's."""
        return None

    def type_check(self, context: Any, value: Any) -> TypeCheck:
        """Whether `value` is of this type. `context`: from ``make_context``."""
        reason = self.check(value)
        return TypeCheck(reason is None, reason)


class Nothing:
    """The type of an input or output that carries no value: it says only that one step comes after another."""


def _anything(_value: Any) -> str | None:
    return None


def _nothing(value: Any) -> str | None:
    return None if value is None else f"Value must be None or unset, got a {type(value)}"


ANY = ValueType("Any", _anything, is_any=True)
NOTHING = ValueType("Nothing", _nothing, is_nothing=True)


def _scalar(display: str, word: str, python_type: type) -> ValueType:
    def check(value: Any) -> str | None:
        if isinstance(value, python_type):
            return None
        return f'Value "{value}" of python type "{type(value).__name__}" must be a {word}.'

    return ValueType(display, check, scalar=python_type)


_SCALARS: dict[Any, ValueType] = {
    int: _scalar("Int", "int", int),
    float: _scalar("Float", "float", float),
    str: _scalar("String", "string", str),
    bool: _scalar("Bool", "bool", bool),
}
_REGISTERED: dict[Any, ValueType] = {}
_LISTS = (list, collections.abc.Sequence)
_DICTS = (dict, collections.abc.Mapping)


def register(python_type: type, as_type: ValueType) -> None:
    """Let annotations with `python_type` mean `as_type`."""
    _REGISTERED[python_type] = as_type


def value_type(declared: Any) -> ValueType:
    """The type that an annotation or a ``dagster_type=`` argument declares.

    Forms that can not be checked (``Literal``, ``Callable``, a type variable, a union of several types) take any value.
    """
    if declared is Any:
        return ANY
    if declared is None or declared is type(None) or declared is Nothing:
        return NOTHING
    if isinstance(declared, ValueType):
        return declared
    if isinstance(declared, collections.abc.Hashable):
        known = _REGISTERED.get(declared) or _SCALARS.get(declared)
        if known is not None:
            return known
    if declared is list:
        return _list_of(ANY)
    origin = typing.get_origin(declared)
    if origin is not None:
        return _generic(origin, typing.get_args(declared))
    return _instance_of(declared) if isinstance(declared, type) else ANY


def _generic(origin: Any, args: tuple[Any, ...]) -> ValueType:
    if origin is typing.Union or origin is types.UnionType:
        return _optional(args)
    if not args and isinstance(origin, type):
        return value_type(origin)  # ``typing.Dict`` without parameters
    if origin in _LISTS:
        return _list_of(value_type(args[0]))
    if origin in _DICTS:
        return _dict_of(value_type(args[0]), value_type(args[1]))
    if origin is tuple and Ellipsis not in args:
        return _tuple_of([value_type(a) for a in args])
    if origin in (set, collections.abc.Set):
        return _set_of(value_type(args[0]))
    if origin is typing.Annotated:
        return value_type(args[0])
    return ANY


def _optional(args: tuple[Any, ...]) -> ValueType:
    inner = [a for a in args if a is not type(None)]
    if len(inner) != 1 or len(inner) == len(args):
        return ANY
    of = value_type(inner[0])
    return ValueType(f"{of.display_name}?", lambda value: None if value is None else of.check(value))


def _first_problem(of: ValueType, values: collections.abc.Iterable[Any]) -> str | None:
    if of.is_any:
        return None
    return next((reason for reason in map(of.check, values) if reason), None)


def _list_of(item: ValueType) -> ValueType:
    def check(value: Any) -> str | None:
        if not isinstance(value, list):
            return f'Value "{value}" of python type "{type(value).__name__}" must be a list.'
        return _first_problem(item, value)

    return ValueType(f"[{item.display_name}]", check)


def _dict_of(key: ValueType, value_: ValueType) -> ValueType:
    def check(value: Any) -> str | None:
        if not isinstance(value, dict):
            return f"Value should be a dict, got a {type(value)}"
        return _first_problem(key, value) or _first_problem(value_, value.values())

    return ValueType(f"Dict[{key.display_name},{value_.display_name}]", check)


def _tuple_of(items: list[ValueType]) -> ValueType:
    def check(value: Any) -> str | None:
        if not isinstance(value, tuple):
            return f"Value should be a tuple, got a {type(value)}"
        if len(value) != len(items):
            return f"Tuple with {len(items)} values expected, got one with {len(value)}"
        return next((reason for item, part in zip(items, value, strict=False) if (reason := item.check(part))), None)

    return ValueType(f"Tuple[{','.join(i.display_name for i in items)}]", check)


def _set_of(item: ValueType) -> ValueType:
    def check(value: Any) -> str | None:
        if not isinstance(value, set):
            return f"Value should be a set, got a {type(value)}"
        return _first_problem(item, value)

    return ValueType(f"Set[{item.display_name}]", check)


def _instance_of(cls: type) -> ValueType:
    module = "" if cls.__module__ == "builtins" else f"{cls.__module__}."

    def check(value: Any) -> str | None:
        if isinstance(value, cls):
            return None
        return (
            f"Value of type {type(value)} failed type check for Dagster type {cls.__name__}, "
            f"expected value to be of Python type {module}{cls.__name__}."
        )

    return ValueType(cls.__name__, check)
