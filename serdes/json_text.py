"""JSON text <-> plain tree, within bounds, with every way it can go wrong as one typed error."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from ..errors import DocumentError
from .compression import decode_utf8
from .limits import BOUNDS, Bounds, check_depth, check_size, too_deep

sorted_text = json.JSONEncoder(sort_keys=True).encode
"""A tree as Dagster writes it: keys sorted, ``", "`` and ``": "`` between, ASCII only, bare NaN."""

compact_text = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
"""A tree as our own documents are kept: the same without spaces."""


def parse(text: str | bytes, bounds: Bounds = BOUNDS) -> Any:
    """The tree of a JSON text. Control characters in strings and bare NaN are read, as Dagster does.

    Raises:
        DocumentError: not UTF-8, not JSON, a key twice in one object, or beyond the bounds.
    """
    if isinstance(text, bytes):
        text = decode_utf8(text)
    check_size(text, bounds)
    try:
        tree = _decode(text)
    except RecursionError as exc:
        raise too_deep(bounds) from exc
    except ValueError as exc:  # JSONDecodeError, and a number with thousands of digits
        raise DocumentError("the document is not JSON", got=_position(text, exc)) from exc
    if text.count("{") + text.count("[") > bounds.depth:
        check_depth(tree, bounds)
    return tree


def tree_text(tree: Any) -> str:
    """``sorted_text`` with a typed error.

    Raises:
        DocumentError: the tree holds something JSON has no form for.
    """
    try:
        return sorted_text(tree)
    except (TypeError, ValueError, RecursionError) as exc:
        raise DocumentError("the value can not be written as JSON", got=str(exc)) from exc


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise DocumentError("a key is given twice in one object", got=repr(twice))
    return found


_decode = json.JSONDecoder(strict=False, object_pairs_hook=_no_key_twice).decode


def _position(text: str, exc: ValueError) -> str:
    if not text.strip():
        return "nothing"
    if isinstance(exc, json.JSONDecodeError):
        return f"{exc.msg} at character {exc.pos}: {text[max(0, exc.pos - 20) : exc.pos + 20]!r}"
    return str(exc)
