"""Values of outputs that the database of runs keeps, as who runs a step reads them."""

from __future__ import annotations

from typing import Protocol

from ..engine.snapshot import StoredOutput


class ValueReader(Protocol):
    """Reads values of outputs that the database of runs keeps."""

    def of_output(self, output: StoredOutput) -> bytes | None:
        """The value of an output of a success; None when it is not there."""

    def of_asset(self, asset_key: str) -> bytes | None:
        """The newest value of an asset, by its text; None when there is none."""


class NoValues:
    """Nothing is kept."""

    def of_output(self, output: StoredOutput) -> bytes | None:
        """See ``ValueReader``."""

    def of_asset(self, asset_key: str) -> bytes | None:
        """See ``ValueReader``."""


OUTPUT, ASSET = "output", "asset"
"""What a step's process that has no database asks its coordinator for."""
