"""The shapes a field of a document can have: each reads its JSON node and writes its value as JSON text.

A shape is made once, when a class is registered (a plain class: a dataclass costs every start a millisecond of CPU); reading checks
types, so that what comes out fits the dataclass.
Writing makes text at once, without a tree between: that is what makes a request cost microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, Protocol

from .json_text import sorted_text
from .unknown import Misfit, UnknownEnum, UnknownObject, shown


class Coder(Protocol):
    """What a shape needs of the registry: objects and free values, and whether unknown classes are refused."""

    strict: bool

    def read_value(self, node: Any) -> Any:
        """The value of any node."""

    def read_object(self, node: Any) -> Any:
        """The object of a mapping that names its class."""

    def write_value(self, value: Any) -> str:
        """The text of any value."""

    def write_object(self, value: Any) -> str:
        """The text of an object of a registered class; as ``write_value`` for anything else."""

    def read_enum(self, node: Any, expected: str) -> Any:
        """The member, or UnknownEnum."""

    def stored_name(self, cls: type) -> str:
        """The name a class is registered under."""


class Shape(Protocol):
    """How one field is read and written.

    Attributes:
        as_is: the exact types of the JSON nodes that are their own values: a reader need not ask for each of them.
    """

    @property
    def as_is(self) -> frozenset[type]:
        """See above."""

    def read(self, node: Any, coder: Coder) -> Any:
        """The value of a JSON node. Raises Misfit."""

    def write(self, value: Any, coder: Coder) -> str:
        """The JSON text of a value. Raises Misfit."""


_NOTHING: frozenset[type] = frozenset()
_NULL = frozenset({type(None)})


class Text:
    """Text."""

    as_is: frozenset[type] = frozenset({str})

    def read(self, node: Any, coder: Coder) -> str:
        """See ``Shape``."""
        if type(node) is not str:
            raise Misfit("not text", got=shown(node), expected="text")
        return node

    def write(self, value: Any, coder: Coder) -> str:
        """See ``Shape``."""
        try:
            return quoted(value)
        except TypeError as exc:
            raise Misfit("not text", got=type(value).__name__, expected="text") from exc


class Scalar:
    """A value of one plain type. A bool is not a number here."""

    __slots__ = ("as_is", "called", "cls")

    def __init__(self, cls: type, called: str) -> None:
        self.cls = cls
        self.called = called
        self.as_is: frozenset[type] = frozenset({cls})

    def read(self, node: Any, coder: Coder) -> Any:
        """See ``Shape``."""
        if type(node) is not self.cls:
            raise Misfit(f"not {self.called}", got=shown(node), expected=self.called)
        return node

    def write(self, value: Any, coder: Coder) -> str:
        """See ``Shape``."""
        if type(value) is not self.cls:
            raise Misfit(f"not {self.called}", got=type(value).__name__, expected=self.called)
        return sorted_text(value)


class TrueOrNull:
    """A flag that is written ``true`` or ``null``, never ``false``; all three are read."""

    __slots__ = ()
    as_is: frozenset[type] = frozenset({bool})

    def read(self, node: Any, coder: Coder) -> bool:
        """See ``Shape``."""
        if node is not None and type(node) is not bool:
            raise Misfit("not true, false or null", got=shown(node), expected="true, false or null")
        return bool(node)

    def write(self, value: Any, coder: Coder) -> str:
        """See ``Shape``."""
        return "true" if value else "null"


class Json:
    """Plain JSON that is kept as it came, markers and all; `cls` is the type it must have at the top."""

    __slots__ = ("as_is", "called", "cls")

    def __init__(self, cls: type = object, called: str = "a value") -> None:
        self.cls = cls
        self.called = called
        self.as_is: frozenset[type] = frozenset({cls})

    def read(self, node: Any, coder: Coder) -> Any:
        """See ``Shape``."""
        if not isinstance(node, self.cls):
            raise Misfit(f"not {self.called}", got=shown(node), expected=self.called)
        return node

    def write(self, value: Any, coder: Coder) -> str:
        """See ``Shape``."""
        return json_text(value)


class Free:
    """Any value: plain, a set, an enum member, an object of any class."""

    __slots__ = ()
    as_is: frozenset[type] = frozenset({str, int, float, bool, type(None)})

    def read(self, node: Any, coder: Coder) -> Any:
        """See ``Shape``."""
        return coder.read_value(node)

    def write(self, value: Any, coder: Coder) -> str:
        """See ``Shape``."""
        return coder.write_value(value)


class Optional:
    """`inner`, or null, which is read as None."""

    __slots__ = ("as_is", "inner")

    def __init__(self, inner: Shape) -> None:
        self.inner = inner
        self.as_is: frozenset[type] = inner.as_is | _NULL

    def read(self, node: Any, coder: Coder) -> Any:
        """See ``Shape``."""
        return None if node is None else self.inner.read(node, coder)

    def write(self, value: Any, coder: Coder) -> str:
        """See ``Shape``."""
        return "null" if value is None else self.inner.write(value, coder)


class OrEmpty:
    """`inner`, or null, which is read as if nothing were in it; always written."""

    __slots__ = ("empty", "inner")
    as_is = _NOTHING

    def __init__(self, inner: Shape, empty: Any) -> None:
        self.inner = inner
        self.empty = empty

    def read(self, node: Any, coder: Coder) -> Any:
        """See ``Shape``."""
        return self.inner.read(self.empty if node is None else node, coder)

    def write(self, value: Any, coder: Coder) -> str:
        """See ``Shape``."""
        return self.inner.write(value, coder)


class ListOf:
    """A list, held as a tuple."""

    __slots__ = ("inner",)
    as_is = _NOTHING

    def __init__(self, inner: Shape) -> None:
        self.inner = inner

    def read(self, node: Any, coder: Coder) -> tuple[Any, ...]:
        """See ``Shape``."""
        if type(node) is not list:
            raise Misfit("not a list", got=shown(node), expected="a list")
        return tuple(_each(self.inner, node, coder))

    def write(self, value: Any, coder: Coder) -> str:
        """See ``Shape``."""
        if not isinstance(value, (list, tuple)):
            raise Misfit("not a list", got=type(value).__name__, expected="a list or tuple")
        return "[" + ", ".join([self.inner.write(item, coder) for item in value]) + "]"


class SetOf:
    """A set, held as a frozenset; both markers are read, ``__set__`` is written."""

    __slots__ = ("inner",)
    as_is = _NOTHING

    def __init__(self, inner: Shape) -> None:
        self.inner = inner

    def read(self, node: Any, coder: Coder) -> frozenset[Any]:
        """See ``Shape``."""
        items = set_items(node) if type(node) is dict else None
        if items is None:
            raise Misfit("not a set", got=shown(node), expected='{"__set__": [...]}')
        return frozenset(no_item_twice(_each(self.inner, items, coder)))

    def write(self, value: Any, coder: Coder) -> str:
        """See ``Shape``."""
        return set_text("__set__", [(item, self.inner.write(item, coder)) for item in value])


class MapOf:
    """A mapping from text to `inner`."""

    __slots__ = ("inner",)
    as_is = _NOTHING

    def __init__(self, inner: Shape) -> None:
        self.inner = inner

    def read(self, node: Any, coder: Coder) -> dict[str, Any]:
        """See ``Shape``."""
        if type(node) is not dict:
            raise Misfit("not a mapping", got=shown(node), expected="a mapping")
        found = {}
        for key, item in node.items():
            try:
                found[key] = self.inner.read(item, coder)
            except Misfit as misfit:
                raise misfit.at(key)
        return found

    def write(self, value: Any, coder: Coder) -> str:
        """See ``Shape``."""
        if not isinstance(value, Mapping):
            raise Misfit("not a mapping", got=type(value).__name__, expected="a mapping")
        return object_text({key: self.inner.write(item, coder) for key, item in value.items()})


class Member:
    """A member of an enum."""

    __slots__ = ("cls",)
    as_is = _NOTHING

    def __init__(self, cls: type[Enum]) -> None:
        self.cls = cls

    def read(self, node: Any, coder: Coder) -> Any:
        """See ``Shape``."""
        found = coder.read_enum(node, coder.stored_name(self.cls))
        if not isinstance(found, (self.cls, UnknownEnum)):
            raise Misfit(
                "another enum", got=type(found).__name__, expected=f"a member of {coder.stored_name(self.cls)}"
            )
        return found

    def write(self, value: Any, coder: Coder) -> str:
        """See ``Shape``."""
        return coder.write_value(value)


class Instance:
    """An object of one of some registered classes, or of a class that is not known here (unless the reader is strict)."""

    __slots__ = ("classes",)
    as_is = _NOTHING

    def __init__(self, *classes: type) -> None:
        self.classes = (*classes, UnknownObject)

    def read(self, node: Any, coder: Coder) -> Any:
        """See ``Shape``."""
        found = coder.read_object(node) if type(node) is dict and "__class__" in node else None
        if not isinstance(found, self.classes):
            names = [coder.stored_name(cls) for cls in self.classes if cls is not UnknownObject]
            raise Misfit("not the right class", got=shown(node), expected=" or ".join(names))
        return found

    def write(self, value: Any, coder: Coder) -> str:
        """See ``Shape``."""
        if not isinstance(value, self.classes):
            names = " or ".join(cls.__name__ for cls in self.classes)
            raise Misfit("not the right class", got=type(value).__name__, expected=names)
        return coder.write_object(value)


TEXT, INT, BOOL = Text(), Scalar(int, "a whole number"), Scalar(bool, "true or false")
FLAG = TrueOrNull()
FREE = Free()
JSON_MAP = Json(dict, "a mapping")


def json_text(value: Any) -> str:
    """Plain JSON with sorted keys. Raises Misfit."""
    try:
        return sorted_text(value)
    except (TypeError, ValueError) as exc:
        raise Misfit("the value can not be written as JSON", got=str(exc)) from exc


def object_text(fields: Mapping[str, str]) -> str:
    """The text of a mapping whose values are text already."""
    if not all(isinstance(key, str) for key in fields):
        raise Misfit("a key is not text", expected="text")
    return "{" + ", ".join([f"{quoted(key)}: {fields[key]}" for key in sorted(fields)]) + "}"


def set_items(node: dict[str, Any]) -> list[Any] | None:
    """The items of a set's node, or None when it is none. Raises Misfit for a marker that does not hold a list alone."""
    for marker in ("__set__", "__frozenset__"):
        if marker in node:
            if len(node) > 1 or type(node[marker]) is not list:
                raise Misfit(f"{marker} has to stand alone and hold a list", got=shown(node[marker]))
            return list(node[marker])
    return None


def no_item_twice(items: list[Any]) -> list[Any]:
    """`items`, if a set can hold them all. Raises Misfit."""
    try:
        if len(set(items)) == len(items):
            return items
    except TypeError as exc:
        raise Misfit("a set holds something that can not be in a set", got=str(exc)) from exc
    raise Misfit("a set holds an item twice")


def set_text(marker: str, items: list[tuple[Any, str]]) -> str:
    """The text of a set, sorted as Dagster sorts: by the items' ``str``, which for an object names its fields in order."""
    items.sort(key=lambda item: item[1] if isinstance(item[0], frozenset) else str(item[0]))
    return f'{{"{marker}": [' + ", ".join([text for _, text in items]) + "]}"


def _each(inner: Shape, nodes: list[Any], coder: Coder) -> list[Any]:
    found = []
    for at, node in enumerate(nodes):
        try:
            found.append(inner.read(node, coder))
        except Misfit as misfit:
            raise misfit.at(at)
    return found
