"""YAML text <-> values, as dagster.yaml wants it: dates stay text, a key given twice is an error, positions in messages.

Admission test: it reads or writes YAML and knows nothing of what the text is for. PyYAML is loaded only for text that needs it:
its import is a sixth of all that a step's process does, and what a step has to read is mostly one path or five words.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .plain import read_plain


def parse_yaml(text: str, *, where: str) -> Any:
    """The value of one YAML document; None for an empty one.

    Raises ConfigErrors: text that is no YAML (with line and column), keys that stand twice (all of them), an anchor inside itself.
    """
    plain = read_plain(text)
    if plain is not None:
        return plain
    return _library().parse(text, where=where)


def dump_yaml(value: Any) -> str:
    """`value` as Dagster writes a component's config: keys sorted, block style, width 80; an empty mapping is `{}`."""
    text: str = _library().dump(value)
    return text


def _library() -> Any:
    return import_module(".library", __name__)
