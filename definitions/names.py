"""Which names definitions may have.

Source: https://docs.dagster.io/api/dagster/ops (names are ``^[A-Za-z0-9_]+$`` and no reserved word).
"""

from __future__ import annotations

import keyword
import re

from .errors import DagsterInvalidDefinitionError

_NAME = re.compile(r"[A-Za-z0-9_]+")
_RESERVED = frozenset(keyword.kwlist) | {
    *("context", "conf", "config", "meta", "arg_dict", "dict", "input_arg_dict", "output_arg_dict"),
    *("int", "str", "float", "bool", "input", "output", "type"),
}


def check_name(name: str) -> str:
    """Return `name` if a definition, an alias, an input or an output may be called so.

    Raises:
        DagsterInvalidDefinitionError: other characters than letters, digits and ``_``, or a reserved word.
    """
    check_key(name)
    if name in _RESERVED:
        raise DagsterInvalidDefinitionError(
            f'"{name}" is not a valid name in Dagster. It conflicts with a Dagster or python reserved keyword.'
        )
    return name


def check_key(key: str) -> str:
    """Return `key` if it may be a mapping key: the same characters, reserved words allowed.

    Raises:
        DagsterInvalidDefinitionError: other characters than letters, digits and ``_``.
    """
    if not isinstance(key, str) or not _NAME.fullmatch(key):
        raise DagsterInvalidDefinitionError(
            f'"{key}" is not a valid name in Dagster. Names must be in regex ^{_NAME.pattern}$.'
        )
    return key
