"""Values of a step's inputs that the database keeps, for a process that holds no connection while user code runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..engine.snapshot import StoredOutput
from ..storage.output_values import OutputValues, is_kept_here


class ClaimedValues:
    """See ``ValueReader``. What the inputs are made from is read now, over the connection that claimed the attempt.

    Args:
        values: of the database.
        inputs: the step's.
        early: those of attempts without an outcome too (see ``OutputValues.get``).
        release: closes the connection.
    """

    def __init__(
        self,
        values: OutputValues,
        inputs: Mapping[str, Sequence[StoredOutput]],
        release: Callable[[], None],
        *,
        early: bool = False,
    ) -> None:
        self._values = values
        self._release = release
        wanted = {_key(one): one for stored in inputs.values() for one in stored if is_kept_here(one)}
        self._found = dict(zip(wanted, values.get(list(wanted.values()), early=early), strict=True))

    def of_output(self, output: StoredOutput) -> bytes | None:
        """See ``ValueReader``."""
        return self._found.get(_key(output))

    def of_asset(self, asset_key: str) -> bytes | None:
        """See ``ValueReader``. Which assets a step loads that no step of its run makes is known to its code only."""
        try:
            return self._values.of_asset(asset_key)
        finally:
            self._release()


def _key(output: StoredOutput) -> tuple[str, str, str, str | None]:
    return output.run_id, output.step, output.output, output.mapping_key
