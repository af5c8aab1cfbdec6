"""The events of a run as user code sees them: ``DagsterEvent``, a view of a stored event with Dagster's names.

Source: https://docs.dagster.io/api/dagster/execution (DagsterEvent, DagsterEventType)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from .. import definitions
from ..engine.snapshot import template_key
from ..events.asset_key import AssetKey
from ..events.event import Event
from ..events.kinds import EventKind
from .asset_port import asset_port
from .errors import DagsterInvariantViolationError
from .node_handle import NodeHandle


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


_PLANNED = (EventKind.ASSET_MATERIALIZATION_PLANNED, EventKind.ASSET_CHECK_EVALUATION_PLANNED)
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
        return NodeHandle(template_key(self.step_key).removesuffix("[?]")).name

    @property
    def message(self) -> str | None:
        """What it says."""
        said: str | None = definitions.event_data.message_of(self.stored, self.job_name)
        return said

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
        return definitions.event_data.data_of(self.stored)

    # What kind it is --------------------------------------------------------------------------------------------------------

    def _is(self, *kinds: DagsterEventType) -> bool:
        return self.event_type in kinds

    @property
    def asset_key(self) -> AssetKey | None:
        """The asset it speaks of, or None."""
        text = self.stored.body.get("asset_key")
        return AssetKey.from_user_string(text) if isinstance(text, str) else None

    @property
    def materialization(self) -> Any:
        """The ``AssetMaterialization``, of an event that says that an asset was made.

        Raises:
            DagsterInvariantViolationError: it is another event.
        """
        if self.event_type is not DagsterEventType.ASSET_MATERIALIZATION:
            raise DagsterInvariantViolationError(f"the event {self.event_type.name} is no materialization.")
        return asset_port().said_of_asset(self.event_type.value, self.stored.body)

    @property
    def is_step_event(self) -> bool:
        """Whether it belongs to a step."""
        return self.step_key is not None

    @property
    def is_hook_event(self) -> bool:
        """Whether a hook says it."""
        return self.event_type_value.startswith("HOOK_")

    @property
    def is_job_event(self) -> bool:
        """Whether it moves the run."""
        return self.event_type_value.startswith("PIPELINE_")

    @property
    def is_job_success(self) -> bool:
        """Whether the run succeeded with it."""
        return self._is(DagsterEventType.RUN_SUCCESS)

    @property
    def is_job_failure(self) -> bool:
        """Whether the run failed with it."""
        return self._is(DagsterEventType.RUN_FAILURE)

    @property
    def is_run_failure(self) -> bool:
        """As ``is_job_failure``."""
        return self.is_job_failure

    @property
    def is_failure(self) -> bool:
        """Whether a step or the run failed with it."""
        return self._is(DagsterEventType.STEP_FAILURE, DagsterEventType.RUN_FAILURE, DagsterEventType.RUN_CANCELED)

    @property
    def is_step_start(self) -> bool:
        """Whether a step started."""
        return self._is(DagsterEventType.STEP_START)

    @property
    def is_step_success(self) -> bool:
        """Whether a step succeeded."""
        return self._is(DagsterEventType.STEP_SUCCESS)

    @property
    def is_step_failure(self) -> bool:
        """Whether a step failed for good."""
        return self._is(DagsterEventType.STEP_FAILURE)

    @property
    def is_step_skipped(self) -> bool:
        """Whether a step was skipped."""
        return self._is(DagsterEventType.STEP_SKIPPED)

    @property
    def is_step_up_for_retry(self) -> bool:
        """Whether a step is to be tried again."""
        return self._is(DagsterEventType.STEP_UP_FOR_RETRY)

    @property
    def is_step_restarted(self) -> bool:
        """Whether a step is tried again."""
        return self._is(DagsterEventType.STEP_RESTARTED)

    @property
    def is_successful_output(self) -> bool:
        """Whether an output is there."""
        return self._is(DagsterEventType.STEP_OUTPUT)

    @property
    def is_handled_output(self) -> bool:
        """Whether an output was kept."""
        return self._is(DagsterEventType.HANDLED_OUTPUT)

    @property
    def is_loaded_input(self) -> bool:
        """Whether an input was loaded."""
        return self._is(DagsterEventType.LOADED_INPUT)

    @property
    def is_engine_event(self) -> bool:
        """Whether the machinery says it."""
        return self._is(DagsterEventType.ENGINE_EVENT)

    @property
    def is_expectation_result(self) -> bool:
        """Whether it tells of an expectation."""
        return self._is(DagsterEventType.STEP_EXPECTATION_RESULT)

    @property
    def is_resource_init_failure(self) -> bool:
        """Whether resources could not be made."""
        return self._is(DagsterEventType.RESOURCE_INIT_FAILURE)

    @property
    def is_step_materialization(self) -> bool:
        """Whether an asset was materialized."""
        return self._is(DagsterEventType.ASSET_MATERIALIZATION)

    @property
    def is_asset_materialization_planned(self) -> bool:
        """Whether an asset is going to be materialized."""
        return self._is(DagsterEventType.ASSET_MATERIALIZATION_PLANNED)

    @property
    def is_asset_failed_to_materialize(self) -> bool:
        """Whether an asset was not materialized."""
        return self._is(DagsterEventType.ASSET_FAILED_TO_MATERIALIZE)

    @property
    def is_asset_observation(self) -> bool:
        """Whether an asset was observed."""
        return self._is(DagsterEventType.ASSET_OBSERVATION)

    # What it says beyond that, under Dagster's names for each kind -----------------------------------------------------------

    def _data(self, *kinds: DagsterEventType) -> Any:
        if self.event_type not in kinds:
            raise DagsterInvariantViolationError(
                f"an event {self.event_type.name} has no such data.", expected=" or ".join(k.name for k in kinds)
            )
        return self.event_specific_data

    @property
    def step_input_data(self) -> Any:
        """``input_name``, ``type_check_data``."""
        return self._data(DagsterEventType.STEP_INPUT)

    @property
    def step_output_data(self) -> Any:
        """``step_output_handle``, ``type_check_data``, ``metadata``, ``version``; ``output_name``, ``mapping_key`` of the handle."""
        return self._data(DagsterEventType.STEP_OUTPUT)

    @property
    def step_success_data(self) -> Any:
        """``duration_ms``."""
        return self._data(DagsterEventType.STEP_SUCCESS)

    @property
    def step_failure_data(self) -> Any:
        """``error``, ``user_failure_data``, ``error_source``."""
        return self._data(DagsterEventType.STEP_FAILURE)

    @property
    def step_retry_data(self) -> Any:
        """``error``, ``seconds_to_wait``."""
        return self._data(DagsterEventType.STEP_UP_FOR_RETRY)

    @property
    def job_failure_data(self) -> Any:
        """``error``, ``failure_reason``, ``first_step_failure_event``."""
        return self._data(DagsterEventType.RUN_FAILURE)

    @property
    def job_canceled_data(self) -> Any:
        """``error``."""
        return self._data(DagsterEventType.RUN_CANCELED)

    @property
    def engine_event_data(self) -> Any:
        """``metadata``, ``error``, ``marker_start``, ``marker_end``."""
        kinds = (
            DagsterEventType.ENGINE_EVENT,
            DagsterEventType.STEP_WORKER_STARTING,
            DagsterEventType.STEP_WORKER_STARTED,
        )
        resources = (DagsterEventType.RESOURCE_INIT_STARTED, DagsterEventType.RESOURCE_INIT_SUCCESS)
        return self._data(*kinds, *resources, DagsterEventType.RESOURCE_INIT_FAILURE)

    @property
    def logs_captured_data(self) -> Any:
        """``log_key``, ``step_keys``."""
        return self._data(DagsterEventType.LOGS_CAPTURED)

    @property
    def hook_completed_data(self) -> Any:
        """Nothing beyond the message."""
        return self._data(DagsterEventType.HOOK_COMPLETED)

    @property
    def hook_errored_data(self) -> Any:
        """``error``."""
        return self._data(DagsterEventType.HOOK_ERRORED)

    @property
    def hook_skipped_data(self) -> Any:
        """Nothing beyond the message."""
        return self._data(DagsterEventType.HOOK_SKIPPED)

    @property
    def step_expectation_result_data(self) -> Any:
        """``expectation_result``."""
        return self._data(DagsterEventType.STEP_EXPECTATION_RESULT)

    @property
    def step_materialization_data(self) -> Any:
        """``materialization``, ``asset_lineage``."""
        return self._data(DagsterEventType.ASSET_MATERIALIZATION)

    @property
    def asset_observation_data(self) -> Any:
        """``asset_observation``."""
        return self._data(DagsterEventType.ASSET_OBSERVATION)

    @property
    def asset_materialization_planned_data(self) -> Any:
        """``asset_key``, ``partition``."""
        return self._data(DagsterEventType.ASSET_MATERIALIZATION_PLANNED)

    @property
    def node_handle(self) -> NodeHandle | None:
        """Path of the op that it belongs to; None: the run's."""
        return None if self.step_key is None else NodeHandle(template_key(self.step_key).removesuffix("[?]"))

    @property
    def step_kind_value(self) -> str | None:
        """``COMPUTE`` for an event of a step."""
        return "COMPUTE" if self.is_step_event else None

    @property
    def logging_tags(self) -> Mapping[str, str]:
        """Run, job, step and op, as the lines of a log name them."""
        tags = {"run_id": self.stored.run_id, "job_name": self.job_name}
        return tags if self.step_key is None else {**tags, "step_key": self.step_key, "op_name": self.node_name}

    def __repr__(self) -> str:
        step = f" {self.step_key}" if self.step_key else ""
        return f"<{type(self).__name__} {self.event_type_value}{step}>"


def seen_by_users(events: Iterable[Event], job_name: str) -> list[DagsterEvent]:
    """The events that Dagster shows of an execution: no lines of a log, nothing of how steps are given out, nor what was planned."""
    silent = EventKind.STEP_WORKER_STARTED  # a claim that says nothing is of a step in its coordinator's own process
    return [
        DagsterEvent(e, job_name)
        for e in events
        if e.kind in _TYPES and e.kind not in _PLANNED and (e.kind != silent or e.body)
    ]
