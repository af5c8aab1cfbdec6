"""Fields of config classes that hold one of several classes, told apart by a tag.

In run config such a value is a mapping with one key, the tag: ``{"cat": {"meows": 3}}``. In pydantic the tag is a field of the class that is
chosen: ``{"kind": "cat", "meows": 3}``.
Source: https://docs.dagster.io/guides/operate/configuration/advanced-config-types (discriminated unions)
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from enum import Enum
from typing import Any


def choices(info: Any) -> dict[str, Any]:
    """The classes among which a field of a pydantic class (its ``FieldInfo``) chooses, by tag; none where it does not choose."""
    if not isinstance(info.discriminator, str):
        return {}
    found: dict[str, Any] = {}
    for cls in typing.get_args(info.annotation):
        if cls is not type(None):
            tags = typing.get_args(cls.model_fields[info.discriminator].annotation)
            found.update((str(tag), cls) for tag in tags)
    return found


def tag_as_field(fields: Mapping[str, Any], data: Any) -> Any:
    """Values of a class with these fields, in pydantic's form: what was given in that of run config is turned round."""
    if not isinstance(data, Mapping):
        return data
    turned = {}
    for name, info in fields.items():
        given = data.get(name)
        if isinstance(given, Mapping) and len(given) == 1 and set(given) <= set(choices(info)):
            ((tag, values),) = given.items()
            turned[name] = {**values, info.discriminator: tag}
    return {**data, **turned}


def tag_as_key(model: Any, dumped: Mapping[str, Any]) -> dict[str, Any]:
    """What pydantic dumped of an object, in the form of run config. Members of enumerations stand there by their names."""
    fields, found = type(model).model_fields, {}
    for name, plain in dumped.items():
        found[name] = _inside(getattr(model, name, None), plain)
        if name in fields and isinstance(plain, Mapping) and choices(fields[name]):
            values = dict(found[name])
            found[name] = {str(values.pop(fields[name].discriminator)): values}
    return found


def _inside(value: Any, plain: Any) -> Any:
    if isinstance(value, Enum):
        return value.name
    if hasattr(type(value), "model_fields"):
        return tag_as_key(value, plain)
    if isinstance(value, (list, tuple)):
        return [_inside(v, p) for v, p in zip(value, plain, strict=True)]
    if isinstance(value, Mapping):
        return {key: _inside(v, p) for v, (key, p) in zip(value.values(), plain.items(), strict=True)}
    return plain
