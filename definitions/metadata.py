"""Metadata that users show with outputs, inputs and failures, as JSON values. A value that says what it is (``MetadataValue``) has
Dagster's form, a mapping with ``__class__``.

Source: https://docs.dagster.io/guides/build/assets/metadata-and-tags
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from ..events.dagster_metadata import plain_metadata
from ..events.event import cut_text
from .errors import DagsterInvalidDefinitionError

T = TypeVar("T")

ENTRY_LIMIT = 1_000
"""Labels of one event's metadata."""
ITEM_LIMIT = 10_000
"""Items of the lists, mappings and tables under one label, all together."""
CUT = "(TRUNCATED)"
"""Ends the label of an entry that says what of the entry of that name was left out; alone: how many entries were."""


def metadata_body(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata as kept in an event: text, numbers, booleans, null, lists and mappings; others in Dagster's form.

    It has limits (``TEXT_LIMIT``, ``ENTRY_LIMIT``, ``ITEM_LIMIT``). What is cut says so: a text at its end, the rest in an entry of its own.

    Raises:
        DagsterInvalidDefinitionError: a value that has no form.
    """
    found: dict[str, Any] = {}
    for label, value in islice(metadata.items(), ENTRY_LIMIT):
        cut = _Cut()
        found[str(label)] = cut.of(_at_top(str(label), value))
        if cut.left_out:
            found[f"{label} {CUT}"] = f"{cut.left_out} more items"
    if len(metadata) > ENTRY_LIMIT:
        found[CUT] = f"{len(metadata) - ENTRY_LIMIT} more entries"
    return found


def _at_top(label: str, value: Any) -> Any:
    as_metadata = getattr(value, "as_metadata", None)
    if as_metadata is not None:
        value = as_metadata()
    if hasattr(value, "to_tree"):
        return plain_metadata(value.to_tree())
    if isinstance(value, os.PathLike):
        return {"__class__": "PathMetadataEntryData", "path": os.fspath(value)}
    if isinstance(value, datetime):
        return {"__class__": "TimestampMetadataValue", "value": value.timestamp()}
    return _value(label, value)


class _Cut:
    """Cuts what stands under one label.

    Attributes:
        left_out: how many items of lists and mappings.
    """

    def __init__(self) -> None:
        self._room = ITEM_LIMIT
        self.left_out = 0

    def of(self, value: Any) -> Any:
        """The value, or its beginning."""
        if isinstance(value, str):
            return cut_text(value)
        if isinstance(value, dict):
            # The fields of a form are no items: it could not be read without one. A table's schema comes before its records.
            if "__class__" in value:
                return {key: self.of(field) for key, field in sorted(value.items(), key=_is_list)}
            return {key: self.of(inner) for key, inner in self._first(value.items())}
        return [self.of(inner) for inner in self._first(value)] if isinstance(value, list) else value

    def _first(self, items: Collection[T]) -> Iterator[T]:
        for index, item in enumerate(items):
            if not self._room:
                self.left_out += len(items) - index
                return
            self._room -= 1
            yield item


def _is_list(field: tuple[str, Any]) -> bool:
    return isinstance(field[1], list)


def _value(label: str, value: Any) -> Any:
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {str(k): _value(label, v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_value(label, v) for v in value]
    raise DagsterInvalidDefinitionError(
        f'Could not resolve the metadata value for "{label}" to a known type.',
        got=f"a value of type {type(value).__name__}",
        expected="text, a number, a boolean, None, a list or a mapping of these, a path, a MetadataValue",
    )
