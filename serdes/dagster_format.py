"""Dagster's ``__class__`` form: a registry of codecs, and text <-> objects through it.

What each class looks like in a document is registered beside the classes (``events/wire.py``); a class does not know its wire
form. Unknown fields of a known class are kept as plain JSON in its attribute ``extra``, unknown classes as ``UnknownObject``; both are
written back where they were.

Source: https://docs.dagster.io (a whitelist of classes, ``serialize_value``); checked against documents that Dagster 1.13 wrote.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from enum import Enum
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from ..errors import DocumentError, nearest
from .json_text import parse, sorted_text
from .limits import BOUNDS, Bounds, check_depth, too_deep
from .record import record
from .shapes import Optional, Shape, json_text, no_item_twice, object_text, set_items, set_text
from .unknown import MappingItems, Misfit, UnknownEnum, UnknownObject, shown

_MARKERS = frozenset({"__class__", "__enum__", "__set__", "__frozenset__", "__mapping_items__"})
_MISSING = object()


@record
class Field:
    """One field of a class in a document.

    Attributes:
        name: the attribute of the Python class.
        shape: how its value is read and written.
        stored: its name in the document; None means `name`.
        also: other names it is read under. Both at once are an error unless they agree.
        required: whether a document without it is refused; otherwise the class's default stands.
        skip_if_null: not written when None.
    """

    name: str
    shape: Shape
    stored: str | None = None
    also: tuple[str, ...] = ()
    required: bool = False
    skip_if_null: bool = False

    @property
    def key(self) -> str:
        """Its name in the document."""
        return self.stored or self.name


class Codec:
    """How one class is read and written.

    Args:
        cls: a dataclass; it may have a field ``extra`` (a mapping), which then keeps unknown fields.
        stored: the class's name in documents; None for a class whose position tells it, written as a plain mapping.
        fields: its fields.
        constants: fields that are always written with this value, because older readers want them.
        once: keep the text of the last object that was written: for a large frozen object that a process writes again and again.
    """

    def __init__(
        self,
        cls: type,
        stored: str | None,
        fields: list[Field],
        constants: Mapping[str, Any] | None = None,
        *,
        once: bool = False,
    ) -> None:
        self.cls = cls
        self.stored = stored
        self.fields = fields
        self.keeps_extra = any(f.name == "extra" for f in dataclasses.fields(cls))
        self.constants = {key: sorted_text(value) for key, value in (constants or {}).items()}
        if stored is not None:
            self.constants["__class__"] = quoted(stored)
        self._constant_nodes = dict(constants or {})
        self._known = {name for f in fields for name in (f.key, *f.also)} | {"__class__"}
        self._readers = [_prepared(f) for f in fields]
        self._row = self._usual_row()
        self._once = once
        self._last: tuple[Any, str] = (None, "")
        self._always = not any(f.skip_if_null for f in fields)

    def read(self, node: Mapping[str, Any], coder: Registry) -> Any:
        """An object of the class. Raises Misfit."""
        values: dict[str, Any] = {}
        for key, as_is, name, f, read in self._readers:
            found = node.get(key, _MISSING)
            if type(found) in as_is:
                values[name] = found
                continue
            if found is _MISSING or f.also:
                found = self._find(f, node)
            if found is not _MISSING:
                try:
                    values[name] = read(found, coder)
                except Misfit as misfit:
                    raise misfit.at(key)
        extra = {} if self._known.issuperset(node) else self._extra(node)
        if extra and self.keeps_extra:
            values["extra"] = extra
        return self.cls(**values)

    def _extra(self, node: Mapping[str, Any]) -> dict[str, Any]:
        """The fields that the class does not know, and that are not its constants."""
        return {
            key: item
            for key, item in node.items()
            if key not in self._known and not (key in self._constant_nodes and item == self._constant_nodes[key])
        }

    def write(self, value: Any, coder: Registry) -> str:
        """The text of an object of the class. Raises Misfit."""
        if not self._once:
            return self._write(value, coder)
        last, text = self._last
        if last is not value:
            text = self._write(value, coder)
            self._last = (value, text)
        return text

    def _write(self, value: Any, coder: Registry) -> str:
        extra = value.extra if self.keeps_extra else None
        if extra or not self._always:
            return self._write_sparse(value, extra or {}, coder)
        parts = []
        before = ""
        try:
            for before, name, write in self._row:
                parts.append(before + write(getattr(value, name), coder) if write else before)
        except Misfit as misfit:
            raise misfit.at(before[1:-3])
        return "{" + ", ".join(parts) + "}"

    def _write_sparse(self, value: Any, extra: Mapping[str, Any], coder: Registry) -> str:
        texts = dict(self.constants)
        for key, item in extra.items():
            if key in self._known:
                raise Misfit("an extra field has the name of a known one", got=repr(key))
            texts[key] = json_text(item)
        for f in self.fields:
            found = getattr(value, f.name)
            if found is not None or not f.skip_if_null:
                try:
                    texts[f.key] = f.shape.write(found, coder)
                except Misfit as misfit:
                    raise misfit.at(f.key)
        return object_text(texts)

    def _find(self, f: Field, node: Mapping[str, Any]) -> Any:
        found = node.get(f.key, _MISSING)
        for name in f.also:
            if name in node:
                if found is not _MISSING and found != node[name]:
                    raise Misfit(f"{f.key!r} and {name!r} are the same field and differ")
                found = node[name]
        if found is _MISSING and f.required:
            close = nearest(f.key, [key for key in node if key not in self._known])
            raise Misfit(f"{self.stored or 'the mapping'} lacks the field {f.key!r}", nearest=close)
        return found

    def _usual_row(self) -> list[tuple[str, str, Callable[[Any, Any], str] | None]]:
        """For the usual case, all fields and nothing extra: (text before the value, attribute, writer), in the order of the keys."""
        row: dict[str, tuple[str, str, Callable[[Any, Any], str] | None]]
        row = {key: (f"{quoted(key)}: {text}", "", None) for key, text in self.constants.items()}
        row |= {f.key: (f"{quoted(f.key)}: ", f.name, f.shape.write) for f in self.fields}
        return [row[key] for key in sorted(row)]


def _prepared(f: Field) -> tuple[str, frozenset[type], str, Field, Callable[[Any, Any], Any]]:
    """A field, taken apart once for all objects of its class: its key, the types of nodes that need no reading, its attribute, itself,
    and what reads all other nodes."""
    as_is = frozenset[type]() if f.also else f.shape.as_is
    # Null is taken as it is where it may stand: what is left is for the inner shape.
    shape = f.shape.inner if isinstance(f.shape, Optional) and not f.also else f.shape
    return f.key, as_is, f.name, f, shape.read


class Plain:
    """The shape of an object that is a plain mapping in the document, because its position tells its class."""

    __slots__ = ("codec",)
    as_is: frozenset[type] = frozenset()

    def __init__(self, codec: Codec) -> None:
        self.codec = codec

    def read(self, node: Any, coder: Any) -> Any:
        """See ``Shape``."""
        if type(node) is not dict:
            raise Misfit("not a mapping", got=shown(node), expected="a mapping")
        return self.codec.read(node, coder)

    def write(self, value: Any, coder: Any) -> str:
        """See ``Shape``."""
        return self.codec.write(value, coder)


class Registry:
    """The classes and enums that documents may hold, by their stored names.

    A strict registry refuses unknown classes and enum members wherever a value is made of them; the other keeps them. Neither
    looks into the unknown fields of a known class.
    """

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict
        self._codecs: dict[str, Codec] = {}
        self._by_class: dict[type, Codec] = {}
        self._enums: dict[str, type[Enum]] = {}
        self._names: dict[type, str] = {}

    def as_strict(self) -> Registry:
        """A view of the same classes that refuses what it does not know."""
        view = Registry(strict=True)
        view._codecs, view._by_class, view._enums, view._names = (
            self._codecs, self._by_class, self._enums, self._names,
        )  # fmt: skip
        return view

    def add(
        self,
        cls: type,
        stored: str,
        fields: list[Field],
        constants: Mapping[str, Any] | None = None,
        *,
        once: bool = False,
    ) -> None:
        """Register a dataclass under the name `stored`. Arguments as in ``Codec``."""
        codec = Codec(cls, stored, fields, constants, once=once)
        self._codecs[stored] = self._by_class[cls] = codec
        self._names[cls] = stored

    def add_enum(self, cls: type[Enum], stored: str) -> None:
        """Register an enum; its members are written by name."""
        self._enums[stored] = cls
        self._names[cls] = stored

    def stored_name(self, cls: type) -> str:
        """The name a class is registered under."""
        return self._names[cls]

    @property
    def class_names(self) -> list[str]:
        """The stored names of all classes."""
        return list(self._codecs)

    # ------------------------------------------------------------------------------------------- text <-> objects

    def read(self, text: str | bytes, bounds: Bounds = BOUNDS) -> Any:
        """The value of a document.

        Raises:
            DocumentError: it can not be read; the text says where and why.
        """
        return self.read_tree(parse(text, bounds), bounds)

    def read_tree(self, tree: Any, bounds: Bounds = BOUNDS) -> Any:
        """The value of a document that is parsed already. Raises DocumentError."""
        try:
            return self.read_value(tree)
        except Misfit as misfit:
            raise DocumentError(
                misfit.message,
                where=misfit.where(),
                got=misfit.got,
                expected=misfit.expected,
                nearest=misfit.nearest,
            ) from None
        except RecursionError as exc:
            raise too_deep(bounds) from exc

    def write(self, value: Any, bounds: Bounds = BOUNDS) -> str:
        """The document of a value.

        Raises:
            DocumentError: a part of it has no form here, or it is deeper than a reader would accept.
        """
        try:
            text = self.write_value(value)
            if text.count("{") + text.count("[") > bounds.depth:
                check_depth(parse(text, bounds), bounds)
        except Misfit as misfit:
            raise DocumentError(
                misfit.message,
                where=misfit.where(),
                got=misfit.got,
                expected=misfit.expected,
            ) from None
        except RecursionError as exc:
            raise too_deep(bounds) from exc
        return text

    # -------------------------------------------------------------------------------------------- node <-> value

    def read_value(self, node: Any) -> Any:
        """The value of a JSON node. Raises Misfit."""
        if type(node) is list:
            return [self.read_value(item) for item in node]
        if type(node) is not dict:
            return node
        if "__class__" in node:
            return self.read_object(node)
        if "__enum__" in node:
            return self.read_enum(node, None)
        if "__mapping_items__" in node:
            return self._read_items(node)
        items = set_items(node)
        if items is not None:
            values = no_item_twice([self.read_value(item) for item in items])
            return set(values) if "__set__" in node else frozenset(values)
        return {key: self.read_value(item) for key, item in node.items()}

    def read_object(self, node: Mapping[str, Any]) -> Any:
        """The object of a mapping that names its class. Raises Misfit."""
        name = node["__class__"]
        if type(name) is not str:
            raise Misfit("__class__ is not a name", got=shown(name), expected="text")
        codec = self._codecs.get(name)
        if codec is not None:
            return codec.read(node, self)
        if self.strict:
            raise Misfit(f"unknown class {name[:80]!r}", nearest=nearest(name[:80], self._codecs))
        return UnknownObject(name, {key: item for key, item in node.items() if key != "__class__"})

    def read_enum(self, node: Any, expected: str | None) -> Any:
        """The member that a node stands for, or UnknownEnum. Raises Misfit."""
        name = node.get("__enum__") if type(node) is dict and len(node) == 1 else None
        if type(name) is not str:
            what = f'{{"__enum__": "{expected or "Class"}.MEMBER"}}'
            raise Misfit("not a member of an enum", got=shown(node), expected=what)
        class_name, _, member = name.rpartition(".")
        cls = self._enums.get(class_name)
        if cls is not None and member in cls.__members__:
            return cls[member]
        if self.strict:
            known = [f"{stored}.{m}" for stored, c in self._enums.items() for m in c.__members__]
            raise Misfit(f"unknown enum member {name[:80]!r}", nearest=nearest(name[:80], known))
        return UnknownEnum(name)

    def _read_items(self, node: Mapping[str, Any]) -> MappingItems:
        pairs = node["__mapping_items__"]
        if len(node) > 1 or type(pairs) is not list or any(type(p) is not list or len(p) != 2 for p in pairs):
            raise Misfit("__mapping_items__ has to stand alone and hold [key, value] pairs")
        keys = no_item_twice([self.read_value(key) for key, _ in pairs])
        return MappingItems(zip(keys, (self.read_value(item) for _, item in pairs), strict=True))

    def write_object(self, value: Any) -> str:
        """The JSON text of an object. Raises Misfit."""
        codec = self._by_class.get(type(value))
        return codec.write(value, self) if codec is not None else self.write_value(value)

    def write_value(self, value: Any) -> str:
        """The JSON text of any value. Raises Misfit."""
        if isinstance(value, str) and not isinstance(value, Enum):
            return quoted(value)
        codec = self._by_class.get(type(value))
        if codec is not None:
            return codec.write(value, self)
        if value is None or isinstance(value, (bool, float)):
            return sorted_text(value)
        if isinstance(value, Enum) or type(value) is UnknownEnum:
            return f'{{"__enum__": {quoted(self._member_name(value))}}}'
        if isinstance(value, int):
            return sorted_text(value)
        if isinstance(value, (list, tuple)):
            return "[" + ", ".join([self.write_value(item) for item in value]) + "]"
        if isinstance(value, Mapping):
            return self._write_mapping(value)
        if isinstance(value, (set, frozenset)):
            marker = "__set__" if isinstance(value, set) else "__frozenset__"
            return set_text(marker, [(item, self.write_value(item)) for item in value])
        if type(value) is UnknownObject:
            return json_text({**value.fields, "__class__": value.class_name})
        raise Misfit("this type has no form in documents", got=type(value).__name__)

    def _write_mapping(self, value: Mapping[Any, Any]) -> str:
        if isinstance(value, MappingItems) or not all(isinstance(key, str) for key in value):
            pairs = [f"[{self.write_value(key)}, {self.write_value(item)}]" for key, item in value.items()]
            return '{"__mapping_items__": [' + ", ".join(pairs) + "]}"
        if not _MARKERS.isdisjoint(value):
            raise Misfit("a key of the mapping is a marker of the format", got=repr(sorted(_MARKERS & set(value))[0]))
        return object_text({key: self.write_value(item) for key, item in value.items()})

    def _member_name(self, value: Any) -> str:
        if isinstance(value, UnknownEnum):
            return value.name
        stored = self._names.get(type(value))
        if stored is None:
            raise Misfit("this enum has no form in documents", got=type(value).__name__)
        return f"{stored}.{value.name}"
