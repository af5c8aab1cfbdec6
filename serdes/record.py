"""``record`` and ``frozen_record``: make a class of values, as ``@dataclass(frozen=True)`` does, at a tenth of what that costs at import.

The standard library writes and compiles six methods for each class. A process that runs one step imports more than a hundred such
classes, makes objects of few of them, and that was half of all its instructions. Here ``__init__`` is written when a class is first
called; comparing, hashing, showing and refusing are the same functions for all (docs/decisions/0013-records.md).

What ``dataclasses`` offers works on records: ``field``, ``fields``, ``replace``, ``asdict``, ``__post_init__``; not ``InitVar``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
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


class _Absent:
    """Stands in signatures where a factory gives the value."""

    def __repr__(self) -> str:
        return "<factory>"


_ABSENT = _Absent()


class _InitOnFirstUse:
    """Stands for a class' ``__init__`` until it is asked for: by a call, or by who looks at its signature."""

    def __init__(self, made: type[Any], *, frozen: bool) -> None:
        self._made, self._frozen = made, frozen
        _UNWRITTEN[made] = self

    def __get__(self, instance: object, owner: type[Any]) -> Any:
        init = self.write()
        return init if instance is None else init.__get__(instance, owner)

    def write(self) -> Any:
        """The function, which takes this one's place."""
        init = _init_of(self._made, frozen=self._frozen)
        self._made.__init__ = init
        _UNWRITTEN.pop(self._made, None)
        return init


_UNWRITTEN: dict[type, _InitOnFirstUse] = {}


def write_all() -> None:
    """For a process that others are forked from: what each of them would have to write is written once, here."""
    for later in list(_UNWRITTEN.values()):
        later.write()


def _init_of(made: type[Any], *, frozen: bool) -> Any:
    """The function that the standard library would have written: same parameters, same defaults, ``__post_init__`` last."""
    known: dict[str, Any] = {"_absent": _ABSENT, "_set": object.__setattr__}
    by_place, by_name, body = ["self"], ["*"], []
    for f in fields(made):
        default, value = _default_and_value(f, known)
        if f.init:
            (by_name if f.kw_only else by_place).append(f"{f.name}={default}" if default else f.name)
        if value:
            body.append(f"_set(self, {f.name!r}, {value})" if frozen else f"self.{f.name} = {value}")
    if hasattr(made, "__post_init__"):
        body.append("self.__post_init__()")
    parameters = ", ".join([*by_place, *(by_name if len(by_name) > 1 else [])])
    exec(f"def __init__({parameters}):\n " + "\n ".join(body or ["pass"]), known)  # noqa: S102 - nothing but names of fields
    init = known["__init__"]
    init.__annotations__ = {f.name: f.type for f in fields(made) if f.init} | {"return": None}
    init.__module__, init.__qualname__ = made.__module__, f"{made.__qualname__}.__init__"
    return init


def _default_and_value(f: Field[Any], known: dict[str, Any]) -> tuple[str, str]:
    """Source of a parameter's default, and of what the attribute is set to; empty: none. What it names is added to `known`."""
    if f.default_factory is not MISSING:
        make = f"_make_{f.name}"
        known[make] = f.default_factory
        return "_absent", f"{make}() if {f.name} is _absent else {f.name}" if f.init else f"{make}()"
    if f.default is not MISSING:
        default = f"_default_{f.name}"
        known[default] = f.default
        return default, f.name if f.init else default
    return "", f.name if f.init else ""


def _refuse_to_set(self: Any, name: str, value: object) -> None:
    _refuse(self, name, "assign to")
    object.__setattr__(self, name, value)


def _refuse_to_delete(self: Any, name: str) -> None:
    _refuse(self, name, "delete")
    object.__delattr__(self, name)


def _refuse(self: Any, name: str, what: str) -> None:
    """As the standard library: a class that somebody derives may have attributes of its own."""
    kind = type(self)
    if name in kind.__dataclass_fields__ or "__dataclass_fields__" in vars(kind):
        raise FrozenInstanceError(f"cannot {what} field {name!r}")


if TYPE_CHECKING:
    from typing_extensions import dataclass_transform

    @dataclass_transform(frozen_default=True, field_specifiers=(field,))
    def record(cls: type[T]) -> type[T]:
        """A class of values that do not change, which the type checker holds. It has slots."""

    @dataclass_transform(frozen_default=True, field_specifiers=(field,))
    def frozen_record(cls: type[T]) -> type[T]:
        """A class of values that users hold: what would change one is refused when a program runs, too."""

else:

    def record(cls):
        """A class of values that do not change, which the type checker holds. It has slots."""
        return _made(dataclass(slots=True, init=False, eq=False, repr=False)(cls), cls.__dict__, frozen=False)

    def frozen_record(cls):
        """A class of values that users hold: what would change one is refused when a program runs, too."""
        made = _made(dataclass(init=False, eq=False, repr=False)(cls), cls.__dict__, frozen=True)
        made.__setattr__, made.__delattr__ = _refuse_to_set, _refuse_to_delete
        return made


def _made(made: Any, written: Mapping[str, object], *, frozen: bool) -> Any:
    """The class with the methods that its author did not write."""
    made.__eq__, made.__hash__ = _equal, _hash
    if "__init__" not in written:
        made.__init__ = _InitOnFirstUse(made, frozen=frozen)
    if "__repr__" not in written:
        made.__repr__ = _shown
    return made
