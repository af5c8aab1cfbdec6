"""Values that the database keeps, for a step's process, which has no database: its coordinator is asked, one by one."""

from __future__ import annotations

from ...engine.snapshot import StoredOutput
from ..values import ASSET, OUTPUT
from .step_process import Ask


class AskedValues:
    """See ``ValueReader``.

    Args:
        ask: asks the coordinator.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def of_output(self, output: StoredOutput) -> bytes | None:
        """See ``ValueReader``."""
        return self._ask(OUTPUT, list(output))

    def of_asset(self, asset_key: str) -> bytes | None:
        """See ``ValueReader``."""
        return self._ask(ASSET, asset_key)
