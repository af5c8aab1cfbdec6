"""Dagster's names for plain types: each is the Python type, or the form of ``typing``, that it stands for, in config and in annotations.

Source: https://docs.dagster.io/api/dagster/types
"""

from __future__ import annotations

import typing

Any = typing.Any
Bool = bool
Float = float
Int = int
String = str
Dict = typing.Dict  # noqa: UP006 - the names themselves are exported
List = typing.List  # noqa: UP006
Optional = typing.Optional
Set = typing.Set  # noqa: UP006
Tuple = typing.Tuple  # type: ignore[type-arg]  # noqa: UP006
