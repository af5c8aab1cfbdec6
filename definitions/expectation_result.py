"""``ExpectationResult``: what an op found when it looked at its data.

Source: https://docs.dagster.io/api/dagster/ops (ExpectationResult)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..events.kinds import EventKind
from .errors import DagsterInvariantViolationError
from .metadata import metadata_body
from .step_assets import Notable, StepNote


class ExpectationResult(Notable):
    """A test of data that an op made: yield it, or hand it to ``context.log_event``. It decides nothing: the step goes on when it failed.

    Dagster gives it up in its version 2; for assets there are checks (``asset_check``).

    Args:
        success: whether the data is as it should be.
        label: a short name; ``result`` when it has none.
        description: for people.
        metadata: shown with the event.

    Raises:
        DagsterInvariantViolationError: `success` is no boolean.
    """

    def __init__(
        self,
        success: bool,
        label: str | None = None,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(success, bool):
            raise DagsterInvariantViolationError(
                "ExpectationResult: success is no boolean.", got=type(success).__name__, expected="True or False"
            )
        self.success = success
        self.label = "result" if label is None else label
        self.description = description
        self.metadata = dict(metadata or {})

    def to_note(self) -> StepNote:
        """The event of a run."""
        verdict = "passed" if self.success else "failed"
        message = self.description or f"Expectation{f' {self.label}' if self.label else ''} {verdict}"
        body: dict[str, Any] = {
            "success": self.success,
            "label": self.label,
            "description": self.description,
            "metadata": metadata_body(self.metadata),
        }
        return StepNote(EventKind.STEP_EXPECTATION_RESULT, message, body)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ExpectationResult) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"ExpectationResult(success={self.success!r}, label={self.label!r}, description={self.description!r})"
