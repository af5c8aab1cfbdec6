"""Label and field selectors, as list and watch take them.

Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from .store import Refusal

Selects = Callable[[Mapping[str, Any]], bool]
_IN = re.compile(r"^(?P<key>\S+) (?P<word>in|notin) \((?P<values>[^)]*)\)$")
_PARTS = re.compile(r",(?![^(]*\))")


def selector(labels: str, fields: str) -> Selects:
    """Whether an object is selected.

    Raises:
        Refusal: 400.
    """
    of_labels = [_label_term(part) for part in _PARTS.split(labels) if part]
    of_fields = [_field_term(part) for part in fields.split(",") if part]
    return lambda o: (
        all(term(o["metadata"].get("labels") or {}) for term in of_labels) and all(term(o) for term in of_fields)
    )


def _label_term(part: str) -> Selects:
    part = part.strip()
    if match := _IN.match(part):
        values = {v.strip() for v in match["values"].split(",")}
        return lambda labels: (labels.get(match["key"]) in values) is (match["word"] == "in")
    if "!=" in part:
        key, _, value = part.partition("!=")
        return lambda labels: labels.get(key) != value
    if "=" in part:
        key, _, value = part.replace("==", "=").partition("=")
        return lambda labels: labels.get(key) == value
    if part.startswith("!"):
        return lambda labels: part[1:] not in labels
    return lambda labels: part in labels


def _field_term(part: str) -> Selects:
    key, sign, value = part.partition("=")
    if not sign or key.endswith("!"):
        raise Refusal(400, "BadRequest", f"field selector not understood here: {part}")

    def selects(found: Mapping[str, Any]) -> bool:
        at: Any = found
        for name in key.split("."):
            at = at.get(name) if isinstance(at, Mapping) else None
        return bool(at == value)

    return selects
