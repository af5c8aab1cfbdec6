"""Arguments of Dagster's that this version does not have: refused by a sentence, never ignored."""

from __future__ import annotations

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
