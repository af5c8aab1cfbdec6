"""The schema of a class that somebody else wrote: what its `config_type()` may answer.

It may be a schema of ours, nothing (`None`, `{}`), or a mapping of names to Python types, nested as one likes::

    {"path": str, "retries": int, "options": dict, "hosts": [str], "queue": {"name": str}}

Every key of such a mapping is required, as in Dagster; ``Field(Text(), default=...)`` in place of a type makes one optional.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..config.schema import (
    EMPTY,
    Anything,
    Bool,
    Field,
    Float,
    FreeMap,
    Int,
    ListOf,
    Schema,
    Shape,
    Text,
)
from ..errors import RunplaneError

_OF_TYPE: Mapping[Any, Schema] = {
    str: Text(),
    int: Int(),
    float: Float(),
    bool: Bool(),
    dict: FreeMap(),
    list: ListOf(Anything()),
    object: Anything(),
    Any: Anything(),
}


def to_schema(shape: Any, *, where: str) -> Schema:
    """`shape` as a schema. Raises RunplaneError for anything that is not one of the forms above."""
    if isinstance(shape, Schema):
        return shape
    if shape is None:
        return EMPTY
    if isinstance(shape, Mapping):
        return Shape(to_fields(shape, where=where))
    if isinstance(shape, list) and len(shape) == 1:
        return ListOf(to_schema(shape[0], where=f"{where}[]"))
    if isinstance(shape, type) and shape in _OF_TYPE:
        return _OF_TYPE[shape]
    raise RunplaneError(
        "config_type() answers with something that is not understood here",
        where=where,
        got=f"{type(shape).__module__}.{type(shape).__qualname__}",
        expected="a mapping of names to str, int, float, bool, dict, list, or a schema of runplane.config.schema",
    )


def to_fields(shape: Mapping[Any, Any], *, where: str) -> dict[str, Field | Schema]:
    """The keys of a mapping of names to types. Raises RunplaneError as ``to_schema``."""
    return {
        str(key): value if isinstance(value, Field) else Field(to_schema(value, where=f"{where}.{key}"), required=True)
        for key, value in shape.items()
    }


def shape_of_class(found: type[Any], *, where: str) -> Schema:
    """The schema of a third party's class: its `config_type()`, or no keys at all if it has none."""
    ask = getattr(found, "config_type", None)
    return EMPTY if ask is None else to_schema(ask(), where=f"{where}: {found.__qualname__}.config_type()")
