"""``record``: makes a class of values, as ``@dataclass(frozen=True, slots=True)`` does, at a third of what that costs at import.

The standard library writes and compiles six methods for each class. A process that runs one step imports about a hundred such classes,
and that was half of all its instructions. Here ``__init__`` alone is made for each class; comparing, hashing and showing are the
same three functions for all. That a record does not change is what the type checker holds (docs/decisions/0013-records.md).

What ``dataclasses`` offers works on records: ``field``, ``fields``, ``replace``, ``asdict``, ``__post_init__``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

T = TypeVar("T")


def _equal(self: Any, other: object) -> Any:
    kind = type(self)
    if type(other) is not kind:
        return NotImplemented
    values = _compared(kind)
    return values(self) == values(other)


def _hash(self: Any) -> int:
    return hash(_hashed(type(self))(self))


def _shown(self: Any) -> str:
    parts = (f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.repr)
    return f"{type(self).__qualname__}({', '.join(parts)})"


_COMPARED: dict[type, Callable[[Any], Any]] = {}
_HASHED: dict[type, Callable[[Any], Any]] = {}


def _compared(kind: type[Any]) -> Callable[[Any], Any]:
    """What takes the values out of a record that count when two are compared."""
    if kind not in _COMPARED:
        _COMPARED[kind] = _values_of([f.name for f in fields(kind) if f.compare])
    return _COMPARED[kind]


def _hashed(kind: type[Any]) -> Callable[[Any], Any]:
    if kind not in _HASHED:
        _HASHED[kind] = _values_of([f.name for f in fields(kind) if (f.compare if f.hash is None else f.hash)])
    return _HASHED[kind]


def _values_of(names: list[str]) -> Callable[[Any], Any]:
    return attrgetter(*names) if names else lambda _: ()


if TYPE_CHECKING:
    from typing_extensions import dataclass_transform

    @dataclass_transform(frozen_default=True, field_specifiers=(field,))
    def record(cls: type[T]) -> type[T]:
        """A class of values that do not change."""

else:

    def record(cls):
        """A class of values that do not change."""
        made = dataclass(slots=True, eq=False, repr=False)(cls)
        made.__eq__, made.__hash__ = _equal, _hash
        if "__repr__" not in cls.__dict__:
            made.__repr__ = _shown
        return made
