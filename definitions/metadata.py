"""Metadata that users show with outputs, inputs and failures, as JSON values. A value that says what it is (``MetadataValue``) has
Dagster's form, a mapping with ``__class__``.

Source: https://docs.dagster.io/guides/build/assets/metadata-and-tags
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..events.dagster_data import plain_metadata
from ..events.event import cut_text
from .errors import DagsterInvalidDefinitionError


def metadata_body(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata as kept in an event: text, numbers, booleans, null, lists and mappings; others in Dagster's form. A text of more than
    ``TEXT_LIMIT`` characters is cut, and says so.

    Raises:
        DagsterInvalidDefinitionError: a value that has no form.
    """
    return {str(label): _cut(_at_top(str(label), value)) for label, value in metadata.items()}


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


def _cut(value: Any) -> Any:
    if isinstance(value, str):
        return cut_text(value)
    if isinstance(value, dict):
        return {key: _cut(inner) for key, inner in value.items()}
    return [_cut(inner) for inner in value] if isinstance(value, list) else value


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
