"""Metadata that users show with outputs, inputs and failures, as JSON values.

Source: https://docs.dagster.io/guides/build/assets/metadata-and-tags
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from .errors import DagsterInvalidDefinitionError


def metadata_body(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata as kept in an event: text, numbers, booleans, null, lists and mappings; paths as text.

    Raises:
        DagsterInvalidDefinitionError: a value that is none of these.
    """
    return {str(label): _value(str(label), value) for label, value in metadata.items()}


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
        expected="text, a number, a boolean, None, a list or a mapping of these",
    )
