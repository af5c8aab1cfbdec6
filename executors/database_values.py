"""Values of outputs, read by a process that has the database open."""

from __future__ import annotations

from typing import Any

from ..engine.snapshot import StoredOutput
from ..storage.output_values import OutputValues, is_kept_here
from .values import OUTPUT, ValueReader


class DatabaseValues:
    """Reads them from the database that this process has open.

    Args:
        values: of the database.
        early: those of attempts without an outcome too (see ``OutputValues.get``).
    """

    def __init__(self, values: OutputValues, *, early: bool = False) -> None:
        self._values = values
        self._early = early

    def of_output(self, output: StoredOutput) -> bytes | None:
        """See ``ValueReader``."""
        return self._values.get([output], early=self._early)[0] if is_kept_here(output) else None

    def of_asset(self, asset_key: str) -> bytes | None:
        """See ``ValueReader``."""
        return self._values.of_asset(asset_key)


def answered(values: ValueReader, kind: str, details: Any) -> bytes | None:
    """The coordinator's answer to a step's process (``template.asked_values``)."""
    return values.of_output(StoredOutput(*details)) if kind == OUTPUT else values.of_asset(details)
