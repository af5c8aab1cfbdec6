"""The YAML that most parts' configs are: mappings of mappings, whose values are plain words, numbers and paths.

What is read here means the same to PyYAML, which a test asks with any text; of all else nothing is said.
"""

from __future__ import annotations

import re
from typing import Any

_LINE = re.compile(r"( {0,40})([A-Za-z_][A-Za-z0-9_]{0,99}):(?: (\S+))?")
_WORD = re.compile(r"[A-Za-z/_](?:[!-9;-~]|:(?=[!-9;-~]))*")  # in a block, without blanks: "#" begins no comment there
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
_QUOTED = re.compile(r"'([!-&(-~]*)'")
_BOOLEANS = {"true": True, "false": False}
_OTHER_MEANINGS = {"yes", "no", "on", "off", "true", "false", "null"}  # in any case of letters


def read_plain(text: str) -> dict[str, Any] | None:
    """The mapping, or None for text that is not plain enough to be read without the library."""
    if text == "{}\n":
        return {}
    lines = [_LINE.fullmatch(line) for line in text.removesuffix("\n").split("\n")]
    try:
        mapping, after = _mapping(lines, 0, 0)
    except _NotPlainError:
        return None
    return mapping if after == len(lines) else None


class _NotPlainError(Exception):
    """The library has to read it."""


def _mapping(lines: list[re.Match[str] | None], at: int, indent: int) -> tuple[dict[str, Any], int]:
    """The mapping whose keys stand at `indent`, from the line `at` on, and the line after it."""
    found: dict[str, Any] = {}
    while at < len(lines):
        line = lines[at]
        if line is None:
            raise _NotPlainError
        depth, key, word = len(line[1]), line[2], line[3]
        if depth < indent:
            break
        if depth > indent or key in found or key.lower() in _OTHER_MEANINGS:
            raise _NotPlainError
        at += 1
        if word is None:
            found[key], at = _mapping(lines, at, indent + 2)
        else:
            found[key] = _value(word)
    if not found:
        raise _NotPlainError
    return found, at


def _value(word: str) -> Any:
    if word in _BOOLEANS:
        return _BOOLEANS[word]
    if word in ("{}", "[]"):
        return {} if word == "{}" else []
    if _WORD.fullmatch(word) and word.lower() not in _OTHER_MEANINGS:
        return word
    if _NUMBER.fullmatch(word):
        return int(word)
    quoted = _QUOTED.fullmatch(word)
    if quoted:
        return quoted[1]
    raise _NotPlainError
