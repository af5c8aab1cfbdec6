"""The events of a run as user code sees them: ``DagsterEvent``, a view of a stored event with Dagster's names.

What a kind's data holds is read from the same forms that events are exported with, so that an attribute here and a field there never
differ. Source: https://docs.dagster.io/api/dagster/execution (DagsterEvent, DagsterEventType)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from ..engine.snapshot import template_key
from ..events.dagster_data import FORMS
from ..events.event import Event
from ..events.kinds import EventKind
from ..events.messages import default_message
from .errors import DagsterInvariantViolationError


class DagsterEventType(str, Enum):
    """What kind of event it is. The values are the texts that Dagster stores."""

    STEP_OUTPUT = "STEP_OUTPUT"
    STEP_INPUT = "STEP_INPUT"
    STEP_FAILURE = "STEP_FAILURE"
    STEP_START = "STEP_START"
    STEP_SUCCESS = "STEP_SUCCESS"
    STEP_SKIPPED = "STEP_SKIPPED"
    STEP_WORKER_STARTING = "STEP_WORKER_STARTING"
    STEP_WORKER_STARTED = "STEP_WORKER_STARTED"
    RESOURCE_INIT_STARTED = "RESOURCE_INIT_STARTED"
    RESOURCE_INIT_SUCCESS = "RESOURCE_INIT_SUCCESS"
    RESOURCE_INIT_FAILURE = "RESOURCE_INIT_FAILURE"
    STEP_UP_FOR_RETRY = "STEP_UP_FOR_RETRY"
    STEP_RESTARTED = "STEP_RESTARTED"
    ASSET_MATERIALIZATION = "ASSET_MATERIALIZATION"
    ASSET_MATERIALIZATION_PLANNED = "ASSET_MATERIALIZATION_PLANNED"
    ASSET_FAILED_TO_MATERIALIZE = "ASSET_FAILED_TO_MATERIALIZE"
    ASSET_OBSERVATION = "ASSET_OBSERVATION"
    STEP_EXPECTATION_RESULT = "STEP_EXPECTATION_RESULT"
    ASSET_CHECK_EVALUATION_PLANNED = "ASSET_CHECK_EVALUATION_PLANNED"
    ASSET_CHECK_EVALUATION = "ASSET_CHECK_EVALUATION"
    RUN_ENQUEUED = "PIPELINE_ENQUEUED"
    RUN_DEQUEUED = "PIPELINE_DEQUEUED"
    RUN_STARTING = "PIPELINE_STARTING"
    RUN_START = "PIPELINE_START"
    RUN_SUCCESS = "PIPELINE_SUCCESS"
    RUN_FAILURE = "PIPELINE_FAILURE"
    RUN_CANCELING = "PIPELINE_CANCELING"
    RUN_CANCELED = "PIPELINE_CANCELED"
    OBJECT_STORE_OPERATION = "OBJECT_STORE_OPERATION"
    LOADED_INPUT = "LOADED_INPUT"
    HANDLED_OUTPUT = "HANDLED_OUTPUT"
    ENGINE_EVENT = "ENGINE_EVENT"
    HOOK_COMPLETED = "HOOK_COMPLETED"
    HOOK_ERRORED = "HOOK_ERRORED"
    HOOK_SKIPPED = "HOOK_SKIPPED"
    LOGS_CAPTURED = "LOGS_CAPTURED"


_TYPES = {t.name: t for t in DagsterEventType}
"""By the name of the kind of ours."""


class DagsterEvent:
    """One event of a run.

    Args:
        stored: the event as it was stored.
        job_name: the run's job.
    """

    __slots__ = ("job_name", "stored")

    def __init__(self, stored: Event, job_name: str) -> None:
        self.stored = stored
        self.job_name = job_name

    @property
    def event_type(self) -> DagsterEventType:
        """What kind of event it is."""
        return _TYPES[self.stored.kind]

    @property
    def event_type_value(self) -> str:
        """The kind as the text that Dagster stores (``PIPELINE_START``)."""
        return self.event_type.value

    @property
    def step_key(self) -> str | None:
        """Key of the step it belongs to, or None."""
        return self.stored.step

    @property
    def node_name(self) -> str:
        """Name of the op it belongs to.

        Raises:
            DagsterInvariantViolationError: it belongs to the run.
        """
        if self.step_key is None:
            raise DagsterInvariantViolationError(f"the event {self.event_type.name} belongs to the run, not to an op.")
        return template_key(self.step_key).removesuffix("[?]").rpartition(".")[2]

    @property
    def message(self) -> str | None:
        """What it says."""
        e = self.stored
        said: str | None = e.body.get("message")
        return said if said is not None else default_message(e.kind, self.job_name, e.step, e.n, e.body)

    @property
    def pid(self) -> int | None:
        """Process that wrote it, where that is known."""
        found: int | None = self.stored.body.get("pid")
        return found

    @property
    def timestamp(self) -> float:
        """When it was stored, in seconds since the epoch."""
        return self.stored.at

    @property
    def event_specific_data(self) -> Any:
        """What is said beyond the kind and the step; None when nothing is. The attributes are those of Dagster's class for it."""
        form = FORMS.get(self.stored.kind)
        if form is None:
            data = self.stored.body.get("data")
            return EventData(data) if isinstance(data, Mapping) else None
        fields = form.write(self.stored.body, self.step_key)
        return None if fields is None else EventData({"__class__": form.stored, **fields})

    @property
    def is_step_event(self) -> bool:
        """Whether it belongs to a step."""
        return self.step_key is not None

    def __repr__(self) -> str:
        step = f" {self.step_key}" if self.step_key else ""
        return f"<{type(self).__name__} {self.event_type_value}{step}>"


class EventData:
    """The data of an event: attributes by Dagster's names. Metadata is a mapping from label to value."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields

    def __getattr__(self, name: str) -> Any:
        if name == "metadata" and "metadata_entries" in self._fields:
            return {e["label"]: _shown(e["entry_data"]) for e in self._fields["metadata_entries"]}
        try:
            return _shown(self._fields[name])
        except KeyError:
            raise AttributeError(f"{self._fields.get('__class__', 'the data')} has no {name!r}") from None

    def __dir__(self) -> Iterable[str]:
        return [name for name in self._fields if name != "__class__"]

    def __repr__(self) -> str:
        said = ", ".join(f"{k}={_shown(v)!r}" for k, v in self._fields.items() if k != "__class__")
        return f"{self._fields.get('__class__', 'data')}({said})"


def _shown(value: Any) -> Any:
    if isinstance(value, Mapping):
        return EventData(value) if "__class__" in value else value
    return [_shown(v) for v in value] if isinstance(value, list) else value


def seen_by_users(events: Iterable[Event], job_name: str) -> list[DagsterEvent]:
    """The events that Dagster has too: no lines of a log, and nothing of how steps are given out."""
    silent = EventKind.STEP_WORKER_STARTED  # a claim that says nothing is of a step in its coordinator's own process
    return [DagsterEvent(e, job_name) for e in events if e.kind in _TYPES and (e.kind != silent or e.body)]
