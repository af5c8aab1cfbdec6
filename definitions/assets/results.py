"""What user code says of assets while it runs: events, and results that stand for outputs.

Source: https://docs.dagster.io/api/dagster/ops (AssetMaterialization, AssetObservation), https://docs.dagster.io/api/dagster/assets
(MaterializeResult, ObserveResult), https://docs.dagster.io/api/dagster/asset-checks (AssetCheckResult).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Generic, TypeVar

from ...events.asset_key import AssetCheckKey, AssetKey
from ...events.kinds import EventKind
from ..errors import DagsterInvariantViolationError
from ..metadata import metadata_body
from ..step_assets import Notable, StepNote
from .spec import key_of

T = TypeVar("T")


class DataVersion:
    """The version of an asset's data.

    Args:
        value: as text.
    """

    def __init__(self, value: str) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DataVersion) and self.value == other.value

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return f"DataVersion({self.value!r})"


class AssetCheckSeverity(str, Enum):
    """How bad it is when a check does not pass: a blocking check stops what is downstream with ERROR only."""

    WARN = "WARN"
    ERROR = "ERROR"


class _AssetEvent(Notable):
    """An event about one asset.

    Args:
        asset_key: the asset.
        description: for people.
        metadata: shown with the event.
        partition: name of the partition, or None.
        tags: text to text.
    """

    kind: EventKind
    verb: str

    def __init__(
        self,
        asset_key: Any,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        partition: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self.asset_key = key_of(asset_key)
        self.description = description
        self.metadata = dict(metadata or {})
        self.partition = partition
        self.tags = dict(tags or {})

    @property
    def label(self) -> str:
        """The key as events show it."""
        return " ".join(self.asset_key.path)

    def to_note(self) -> StepNote:
        """The event of a run."""
        body: dict[str, Any] = {
            "asset_key": self.asset_key.to_escaped_user_string(),
            "metadata": metadata_body(self.metadata),
        }
        for name, value in (("description", self.description), ("partition", self.partition), ("tags", self.tags)):
            if value:
                body[name] = value
        return StepNote(self.kind, self.description or self.default_message(), body)

    def default_message(self) -> str:
        """The sentence of an event without a description."""
        return f"{self.verb} {self.label}."

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(asset_key={self.asset_key!r})"


class AssetMaterialization(_AssetEvent):
    """An asset was made. Yield it from an op, or hand it to ``context.log_event``."""

    kind = EventKind.ASSET_MATERIALIZATION
    verb = "Materialized value"


class AssetObservation(_AssetEvent):
    """An asset was looked at. Yield it from an op, or hand it to ``context.log_event``."""

    kind = EventKind.ASSET_OBSERVATION
    verb = "Observed"


class AssetCheckResult:
    """What a check found.

    Args:
        passed: whether the asset is as it should be.
        asset_key: the asset; not needed where one check is meant.
        check_name: the check; not needed where one is meant.
        metadata: shown with the result.
        severity: how bad it is when it did not pass.
        description: for people.
    """

    def __init__(
        self,
        *,
        passed: bool,
        asset_key: Any = None,
        check_name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        severity: AssetCheckSeverity = AssetCheckSeverity.ERROR,
        description: str | None = None,
    ) -> None:
        if not isinstance(passed, bool):
            raise DagsterInvariantViolationError(
                "AssetCheckResult: passed is no boolean.", got=type(passed).__name__, expected="True or False"
            )
        self.passed = passed
        self.asset_key = None if asset_key is None else key_of(asset_key)
        self.check_name = check_name
        self.metadata = dict(metadata or {})
        self.severity = AssetCheckSeverity(severity)
        self.description = description

    def to_evaluation(self, key: AssetCheckKey, *, blocking: bool) -> AssetCheckEvaluation:
        """The result as the evaluation of the check `key`."""
        return AssetCheckEvaluation(
            key.asset_key,
            key.name,
            self.passed,
            self.metadata,
            self.severity,
            self.description,
            blocking=blocking,
        )


class AssetCheckEvaluation(Notable):
    """One evaluation of a check, with all that it names.

    Attributes:
        asset_key, check_name, passed, metadata, severity, description: as of ``AssetCheckResult``.
        target_materialization_data: None: which materialization was looked at is not recorded.
        blocking: whether a failure stops what is downstream.
    """

    def __init__(
        self,
        asset_key: AssetKey,
        check_name: str,
        passed: bool,
        metadata: Mapping[str, Any] | None = None,
        severity: AssetCheckSeverity = AssetCheckSeverity.ERROR,
        description: str | None = None,
        target_materialization_data: None = None,
        blocking: bool = False,
    ) -> None:
        self.asset_key = asset_key
        self.check_name = check_name
        self.passed = passed
        self.metadata = dict(metadata or {})
        self.severity = severity
        self.description = description
        self.target_materialization_data = target_materialization_data
        self.blocking = blocking

    @property
    def asset_check_key(self) -> AssetCheckKey:
        """The check."""
        return AssetCheckKey(self.asset_key, self.check_name)

    def to_note(self) -> StepNote:
        """The event of a run."""
        verdict = "passed" if self.passed else "did not pass"
        message = f"Asset check '{self.check_name}' on '{self.asset_key.to_user_string()}' {verdict}."
        body: dict[str, Any] = {
            "asset_key": self.asset_key.to_escaped_user_string(),
            "check_name": self.check_name,
            "passed": self.passed,
            "severity": self.severity.value,
            "metadata": metadata_body(self.metadata),
        }
        if self.description:
            body["description"] = self.description
            message += f" Description: '{self.description}'"
        if self.blocking:
            body["blocking"] = True
        return StepNote(EventKind.ASSET_CHECK_EVALUATION, message, body)


class _AssetResult:
    """What an asset's function gives in place of a value.

    Args:
        asset_key: which asset; not needed when the function makes one.
        metadata: shown with the asset's event.
        check_results: results of checks that the function made too.
        data_version: version of the data: a ``DataVersion``, or its text.
        tags: text to text, on the asset's event.
    """

    def __init__(
        self,
        asset_key: Any = None,
        metadata: Mapping[str, Any] | None = None,
        check_results: Sequence[AssetCheckResult] | None = None,
        data_version: DataVersion | str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self.asset_key = None if asset_key is None else key_of(asset_key)
        self.metadata = dict(metadata or {})
        self.check_results = list(check_results or ())
        self.data_version = DataVersion(data_version) if isinstance(data_version, str) else data_version
        self.tags = dict(tags or {})

    def __repr__(self) -> str:
        return f"{type(self).__name__}(asset_key={self.asset_key!r})"


class NoValue(Enum):
    """The mark of a result without a value (None is one)."""

    NO_VALUE = "NO_VALUE"


class MaterializeResult(_AssetResult, Generic[T]):
    """An asset was made, and is kept by the function itself; with `value`, the IO manager keeps that."""

    def __init__(
        self,
        asset_key: Any = None,
        metadata: Mapping[str, Any] | None = None,
        check_results: Sequence[AssetCheckResult] | None = None,
        data_version: DataVersion | str | None = None,
        tags: Mapping[str, str] | None = None,
        value: T | NoValue = NoValue.NO_VALUE,
    ) -> None:
        super().__init__(
            asset_key=asset_key,
            metadata=metadata,
            check_results=check_results,
            data_version=data_version,
            tags=tags,
        )
        self.value = value

    @property
    def has_value(self) -> bool:
        """Whether there is a value for the IO manager."""
        return self.value is not NoValue.NO_VALUE


class ObserveResult(_AssetResult):
    """An asset was looked at."""
