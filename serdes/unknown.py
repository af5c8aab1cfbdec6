"""What a newer writer may put into a document that this version knows no class for: kept whole, and written back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from .record import record


@record
class UnknownObject:
    """An object of a class that is not registered. `fields` is its plain JSON, its class name left out."""

    class_name: str
    fields: Mapping[str, Any] = field(default_factory=dict, hash=False)


@record
class UnknownEnum:
    """A member of an enum, or of a known enum, that is not registered: ``Color.RED``."""

    name: str


class MappingItems(dict[Any, Any]):
    """A mapping that is written as a list of pairs, because its class says that its keys need not be text."""


class Misfit(Exception):
    """Inside serdes: a value does not fit where it stands. Collects its path on the way out; readers turn it into DocumentError."""

    def __init__(
        self, message: str, *, got: str | None = None, expected: str | None = None, nearest: str | None = None
    ) -> None:
        super().__init__(message)
        self.message, self.got, self.expected, self.nearest = message, got, expected, nearest
        self.path: list[str | int] = []

    def at(self, key: str | int) -> Misfit:
        """The same misfit, one key or list position further out."""
        self.path.append(key)
        return self

    def where(self) -> str | None:
        """The dotted path from the document's root, or None for the root."""
        text = ""
        for key in reversed(self.path):
            text += f"[{key}]" if isinstance(key, int) else (f".{key}" if text else key)
        return text or None


def shown(node: Any) -> str:
    """A node for an error message: its type, and the value when it is short and can hold no secret."""
    if isinstance(node, dict) and isinstance(node.get("__class__"), str):
        return f"a {node['__class__'][:80]}"
    if node is None or isinstance(node, (bool, int, float)):
        return repr(node)[:40]
    return _CALLED.get(type(node).__name__, type(node).__name__)


_CALLED = {"dict": "a mapping", "list": "a list", "str": "text"}
