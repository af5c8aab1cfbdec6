"""Bounds on what is read: how long, how deep, and how large once inflated. A document is never trusted to be small."""

from __future__ import annotations

import zlib
from typing import Any

from ..errors import DocumentError
from .record import record


@record
class Bounds:
    """What a reader accepts.

    Attributes:
        text: characters of a document, before it is parsed. Also bytes of an inflated one.
        depth: lists and mappings inside each other.
    """

    text: int = 64 * 1024 * 1024
    depth: int = 100


BOUNDS = Bounds()
"""For every reader that is given no other. Real documents: 5 kB and 8 deep; a plan of 10,000 steps about 2 MB."""


def check_size(text: str, bounds: Bounds = BOUNDS) -> None:
    """Raises DocumentError when `text` is longer than allowed."""
    if len(text) > bounds.text:
        raise DocumentError(
            "the document is too large", got=f"{len(text)} characters", expected=f"at most {bounds.text}"
        )


def check_depth(tree: Any, bounds: Bounds = BOUNDS) -> None:
    """Raises DocumentError when the parsed JSON `tree` is deeper than allowed. Not recursive: depth can not hurt it."""
    level = [tree]
    for _ in range(bounds.depth + 1):
        level = [child for node in level if type(node) in _CONTAINERS for child in _children(node)]
        if not level:
            return
    raise too_deep(bounds)


def too_deep(bounds: Bounds = BOUNDS) -> DocumentError:
    """The error for a document that is nested more deeply than allowed."""
    return DocumentError("the document is nested too deeply", expected=f"at most {bounds.depth} levels")


def inflate(data: bytes, bounds: Bounds = BOUNDS) -> bytes:
    """The content of a whole zlib stream. Stops inflating one byte after the bound, so a bomb costs no more than that.

    Raises:
        DocumentError: not zlib, cut short, followed by something else, or larger than allowed.
    """
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(data, bounds.text + 1)
    except zlib.error as exc:
        raise DocumentError("the compressed document is damaged", got=str(exc)) from exc
    if len(content) > bounds.text:
        raise DocumentError("the document is too large once inflated", expected=f"at most {bounds.text} bytes")
    if not stream.eof:
        raise DocumentError(
            "the compressed document is cut short", got=f"{len(data)} bytes that end before the stream does"
        )
    if stream.unused_data:
        raise DocumentError("something follows the compressed document", got=f"{len(stream.unused_data)} more bytes")
    return content


_CONTAINERS = frozenset({dict, list})


def _children(node: Any) -> Any:
    return node.values() if type(node) is dict else node
