"""``EnvVar``: a value of a resource that is the content of an environment variable, read when the resource is opened.

Source: https://docs.dagster.io/api/dagster/config (EnvVar)
"""

from __future__ import annotations

import os
from typing import Any

from .errors import DagsterInvariantViolationError


class EnvVar(str):
    """The variable's name; never its content, so that it can be shown.

    ``EnvVar.int("PORT")`` for a field that is a number.
    """

    __slots__ = ()

    @staticmethod
    def int(name: str) -> EnvVar:
        """The variable `name`, read as a whole number."""
        return _OfNumber(name)

    def to_config(self) -> dict[str, str]:
        """The form in run config: ``{"env": NAME}``."""
        return {"env": str.__str__(self)}

    @property
    def env_var_name(self) -> str:
        """The variable's name."""
        return str.__str__(self)

    def get_value(self, default: Any = None) -> Any:
        """The variable's content now, or `default`."""
        return os.environ.get(self.env_var_name, default)

    def __repr__(self) -> str:
        return f"EnvVar({self.env_var_name!r})"

    def __str__(self) -> str:
        """Refused: the text would be the name where the content is meant.

        Raises:
            DagsterInvariantViolationError: always.
        """
        raise DagsterInvariantViolationError(
            f"EnvVar({self.env_var_name!r}) was used as text.",
            hint="Pass it to a resource as it is, or call get_value() where the content is needed now.",
        )


class _OfNumber(EnvVar):
    """A variable whose content is a whole number."""

    __slots__ = ()

    def get_value(self, default: Any = None) -> Any:
        """The number now, or `default`.

        Raises:
            ValueError: the content is no whole number.
        """
        content = super().get_value()
        return int(content) if content else default
