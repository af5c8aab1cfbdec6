"""Arguments of Dagster's that this version does not have: refused by a sentence, never ignored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors.base import UnsupportedError


def refuse_later(where: str, **arguments: object) -> None:
    """Refuse each argument that was given.

    Raises:
        UnsupportedError: one is not None.
    """
    for name, value in arguments.items():
        if value is not None:
            raise UnsupportedError(
                f"{name} is not supported yet: partitions, automation and freshness come in a later version.",
                where=where,
                hint="Leave it out.",
            )


def refuse_later_of(what: object, arguments: Mapping[str, Any]) -> None:
    """As ``refuse_later``, for arguments that came by ``**``.

    Raises:
        UnsupportedError: one is not None.
    """
    for name, value in arguments.items():
        if value is not None:
            raise UnsupportedError(
                f"{name} is not supported in this version.", where=type(what).__name__, hint="Leave it out."
            )
