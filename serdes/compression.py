"""Dagster's compressed form: base64 of zlib (default level) of the UTF-8 text.

Source: https://docs.dagster.io/deployment/oss/deployment-options/kubernetes; the description's Text 7.
"""

from __future__ import annotations

import base64
import binascii
import zlib

from ..errors import DocumentError
from .limits import BOUNDS, Bounds, inflate


def compress(text: str) -> str:
    """`text` in the compressed form, one line of ASCII."""
    return base64.b64encode(zlib.compress(text.encode())).decode("ascii")


def decompress(text: str, bounds: Bounds = BOUNDS) -> str:
    """The reverse of ``compress``. White space in `text` (line ends of a shell or an editor) is ignored.

    Raises:
        DocumentError: not base64, not a whole zlib stream, not UTF-8, or larger than allowed.
    """
    if len(text) > bounds.text:
        raise DocumentError(
            "the compressed document is too large", got=f"{len(text)} characters", expected=f"at most {bounds.text}"
        )
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as exc:  # ValueError: letters outside ASCII
        raise DocumentError("the compressed document is not base64", got=str(exc)) from exc
    return decode_utf8(inflate(data, bounds))


def decode_utf8(data: bytes) -> str:
    """`data` as text. Raises DocumentError when it is not UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        raise DocumentError("the document is not UTF-8", got=str(exc)) from exc


def is_compressed(text: str) -> bool:
    """Whether `text` can only be the compressed form. JSON of a document begins with a brace, base64 never holds one."""
    return not text.lstrip().startswith("{")
