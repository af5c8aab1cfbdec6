"""Reads values in Kubernetes' shapes: both spellings of a field become the API's (camelCase), every type is checked.

Users write ``volume_mounts`` or ``volumeMounts``, as they did for Dagster. Keys of free maps (labels, limits, node selectors) are theirs and
stay as they are. Source of names and types: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/job-v1/
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...config.schema import type_name
from ...errors import Problems, nearest

_DATA = Path(__file__).with_name("models.json")
_LIST = "List["
_MAP = "Dict[str, "


@dataclass(frozen=True, slots=True)
class Model:
    """One of Kubernetes' types.

    Attributes:
        name: as the client calls it (`V1Container`).
        types: camelCase name -> type (`str`, `List[V1EnvVar]`, `Dict[str, str]`, ...).
        camel: either spelling -> camelCase.
        snake: camelCase -> snake_case.
    """

    name: str
    types: Mapping[str, str]
    camel: Mapping[str, str]
    snake: Mapping[str, str]


@functools.cache
def _models() -> Mapping[str, Mapping[str, tuple[str, str]]]:
    found: Mapping[str, Mapping[str, tuple[str, str]]] = json.loads(_DATA.read_text(encoding="utf-8"))
    return found


@functools.cache
def model(name: str) -> Model:
    """The model of that name. Raises KeyError for one that no Job can hold."""
    fields = _models()[name]
    camel = {snake: camel for snake, (camel, _) in fields.items()} | {camel: camel for camel, _ in fields.values()}
    return Model(
        name,
        types=dict(fields.values()),
        camel=camel,
        snake={camel: snake for snake, (camel, _) in fields.items()},
    )


def to_camel(kind: str, value: Any, problems: Problems) -> Any:
    """`value` as the API takes it.

    Args:
        kind: a model's name, or a type as ``Model.types`` has it.
        value: JSON values; null stands for "not set" anywhere.
        problems: every unknown field (with the nearest name), both spellings of one field at once, every wrong type. A value is never
            shown, since it may be a secret.

    Returns:
        The value under camelCase names. Numbers and true/false where Kubernetes wants text become text (limits, labels), text that
        is a whole number becomes one where it wants a number.
    """
    if value is None or kind == "object":
        return value
    if kind.startswith(_LIST):
        return _list(kind[len(_LIST) : -1], value, problems)
    if kind.startswith(_MAP):
        return _map(kind[len(_MAP) : -1], value, problems)
    if kind in _SCALARS:
        return _scalar(kind, value, problems)
    return _fields(model(kind), value, problems)


def _fields(of: Model, value: Any, problems: Problems) -> Any:
    if not isinstance(value, Mapping):
        problems.add("wrong type", got=type_name(value), expected=f"a mapping ({of.name})")
        return {}
    found: dict[str, Any] = {}
    spelled: dict[str, str] = {}
    for key, item in value.items():
        camel = of.camel.get(key)
        if camel is None:
            _unknown(of, key, problems)
        elif camel in spelled:
            problems.at(key).add(
                "one field in both spellings", got=f"{spelled[camel]} and {key}", expected="one of them"
            )
        else:
            spelled[camel] = key
            found[camel] = to_camel(of.types[camel], item, problems.at(key))
    return found


def _unknown(of: Model, key: Any, problems: Problems) -> None:
    text = str(key)
    problems.at(text).add(
        "unknown key", expected=f"a field of {of.name}", suggestion=nearest(text, _alike(of, text) or of.camel)
    )


def _alike(of: Model, key: str) -> list[str]:
    """Its fields in the spelling that `key` has, so that the suggestion can be taken as it is."""
    if "_" in key:
        return list(of.snake.values())
    return list(of.types) if key != key.lower() else []


def _list(kind: str, value: Any, problems: Problems) -> Any:
    if not isinstance(value, (list, tuple)):
        problems.add("wrong type", got=type_name(value), expected="a list")
        return []
    return [to_camel(kind, item, problems.at(n)) for n, item in enumerate(value)]


def _map(kind: str, value: Any, problems: Problems) -> Any:
    if not isinstance(value, Mapping):
        problems.add("wrong type", got=type_name(value), expected="a mapping")
        return {}
    found = {}
    for key, item in value.items():
        if not isinstance(key, str):
            problems.add("a key that is not text", got=type_name(key), expected="text")
        else:
            found[key] = to_camel(kind, item, problems.at(key))
    return found


def _scalar(kind: str, value: Any, problems: Problems) -> Any:
    accepts, expected = _SCALARS[kind]
    read = accepts(value)
    if read is None:
        problems.add("wrong type", got=type_name(value), expected=expected)
    return read


def _text(value: Any) -> str | None:
    return str(value) if isinstance(value, (str, int, float)) else None  # as Dagster does: 1.5 -> "1.5", True -> "True"


def _whole(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str):
        return int(value) if value.strip().lstrip("-").isdecimal() else None
    return value if isinstance(value, int) else None


def _number(value: Any) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


_SCALARS: Mapping[str, tuple[Any, str]] = {
    "str": (_text, "text"),
    "datetime": (_text, "a time as text"),
    "int": (_whole, "a whole number"),
    "float": (_number, "a number"),
    "bool": (_flag, "true or false"),
}
