"""Metadata of an event: that of a body <-> Dagster's list of entries.

In a body it is a mapping from label to value: text, numbers, booleans, None, lists and mappings stand for themselves; anything else
(Markdown, a path, a table) is a mapping in Dagster's own form with ``__class__``, which passes through.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Tree = dict[str, Any]

_PLAIN: dict[type, tuple[str, str]] = {
    str: ("TextMetadataEntryData", "text"),
    bool: ("BoolMetadataEntryData", "value"),
    int: ("IntMetadataEntryData", "value"),
    float: ("FloatMetadataEntryData", "value"),
    list: ("JsonMetadataEntryData", "data"),
    dict: ("JsonMetadataEntryData", "data"),
}
_PLAIN_OF = {"TextMetadataEntryData": "text", "JsonMetadataEntryData": "data"} | dict.fromkeys(
    ("BoolMetadataEntryData", "IntMetadataEntryData", "FloatMetadataEntryData"), "value"
)
_TYPED = ("MetadataEntryData", "MetadataValue")
_NULL = {"__class__": "NullMetadataEntryData"}


def metadata_value(value: Any) -> Tree:
    """Dagster's form of one metadata value of a body."""
    if isinstance(value, Mapping) and str(value.get("__class__", "")).endswith(_TYPED):
        return dict(value)
    if value is None:
        return dict(_NULL)
    stored, key = _PLAIN.get(type(value)) or ("TextMetadataEntryData", "text")
    return {"__class__": stored, key: value if type(value) in _PLAIN else str(value)}


def plain_metadata(data: Tree) -> Any:
    """The reverse: a plain value where Dagster's form says no more than that."""
    if data == _NULL:
        return None
    key = _PLAIN_OF.get(data["__class__"])
    if key is not None and len(data) == 2 and metadata_value(data[key]) == data:
        return data[key]
    return data


def metadata_entries(metadata: Mapping[str, Any] | None) -> list[Tree]:
    """A body's metadata as Dagster's list of entries."""
    return [
        {"__class__": "EventMetadataEntry", "description": None, "entry_data": metadata_value(value), "label": label}
        for label, value in (metadata or {}).items()
    ]


def metadata_of(entries: list[Tree]) -> Tree:
    """Dagster's list of entries as a body's metadata."""
    return {entry["label"]: plain_metadata(entry["entry_data"]) for entry in entries}
