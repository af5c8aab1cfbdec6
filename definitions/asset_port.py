"""The one way from code that may have assets to what makes jobs of them: code without assets never loads it.

Whoever starts the program (the package's lazy names, a test) says where it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors.base import UnsupportedError

_load: list[Callable[[], Any]] = []


def set_asset_port(load: Callable[[], Any]) -> None:
    """Say where assets are made jobs of: `load` gives the module ``assets.location``, importing it at the first need."""
    _load[:] = [load]


def may_have_assets() -> bool:
    """Whether the code that was loaded can name assets at all: whoever imports the package's names fills the port."""
    return bool(_load)


def asset_port() -> Any:
    """The module ``assets.location``.

    Raises:
        UnsupportedError: nobody said where it is.
    """
    if not _load:
        raise UnsupportedError(
            "nothing in this process knows assets.",
            hint="Import from the package (`from runplane import asset`), not from its modules.",
        )
    return _load[0]()
