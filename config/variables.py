"""Numbers that are given by environment variables."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ..errors import ConfigErrors, Problem


def seconds_from(env: Mapping[str, str], name: str, default: float, *, may_be_zero: bool = False) -> float:
    """The seconds that the variable `name` says; `default` when it is not set or empty.

    Raises:
        ConfigErrors: it holds something else than a finite number of at least 0 (above 0, unless `may_be_zero`).
    """
    text = env.get(name)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isfinite(value) and (value > 0 or (may_be_zero and value == 0)):
        return value
    expected = "a number of seconds, 0 or more" if may_be_zero else "a number of seconds above 0"
    raise ConfigErrors([Problem(name, "can not be used", repr(text), expected)], where="environment")
