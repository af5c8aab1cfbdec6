"""Metadata of events as text: for the terminal and for the page of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def metadata_text(value: Any) -> str:
    """A value of a body's metadata: of a richer one what it holds."""
    if isinstance(value, Mapping) and "__class__" in value:
        parts = {name: part for name, part in value.items() if name != "__class__"}
        value = next(iter(parts.values())) if len(parts) == 1 else parts
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)


def failure_metadata(failure: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Label and text of what a ``Failure`` of the user's says beside its description."""
    said = ((failure or {}).get("user_failure") or {}).get("metadata") or {}
    return [(label, metadata_text(value)) for label, value in said.items()]
