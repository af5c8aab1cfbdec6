"""The closed set of event kinds, and what each may do.

A *fact* moves an arc of the tables in ``engine/arcs.py``. An *internal* fact does too, and is hidden from Dagster-shaped views
because Dagster has no such event. An *annotation* never moves anything. A kind that this version does not know is read as an
annotation.

Any body may have ``message`` (left out when it is what ``messages.py`` says anyway), ``pid``, and ``metadata``: label -> text, number,
boolean, None, list or mapping; a richer value (Markdown, a path) is a mapping in Dagster's form, with its ``__class__``.
"""

from enum import Enum


class Category(str, Enum):
    """What an event of this kind may do to the state."""

    FACT = "fact"
    INTERNAL = "internal"
    ANNOTATION = "annotation"


class EventKind(str, Enum):
    """Event kinds. Where Dagster has the event, the name is the Python name of its ``DagsterEventType``."""

    # Facts of the run
    RUN_ENQUEUED = "RUN_ENQUEUED"
    RUN_STARTING = "RUN_STARTING"
    RUN_START = "RUN_START"
    RUN_CANCELING = "RUN_CANCELING"
    RUN_CANCELED = "RUN_CANCELED"
    RUN_SUCCESS = "RUN_SUCCESS"
    RUN_FAILURE = "RUN_FAILURE"
    # Facts of a step
    STEP_WORKER_STARTED = "STEP_WORKER_STARTED"
    """The attempt was claimed: ISSUED -> RUNNING. Body: message, worker, pid."""
    STEP_OUTPUT = "STEP_OUTPUT"
    """Body: output, mapping_key (or none), location (where the value is kept), type_check, metadata, message."""
    STEP_SUCCESS = "STEP_SUCCESS"
    """Body: duration_ms, of it inputs_ms and user_code_ms; message; hooks (names, of each outcome that hooks follow)."""
    STEP_FAILURE = "STEP_FAILURE"
    """Body: error (ErrorInfo document), cause (FailureCause), user_failure (label, description, metadata) or none, message."""
    STEP_UP_FOR_RETRY = "STEP_UP_FOR_RETRY"
    """Body: seconds_to_wait (float, jitter included), error, cause, message."""
    STEP_SKIPPED = "STEP_SKIPPED"
    """Body: because (list of "step.output"), message."""
    # Internal facts
    STEP_ISSUED = "STEP_ISSUED"
    """Body: pools, priority."""
    STEP_SEALED = "STEP_SEALED"
    """The attempt lost its authority without an outcome. Body: cause (FailureCause), evidence (text)."""
    STEP_ABANDONED = "STEP_ABANDONED"
    """Will not run. Body: because (list of step keys, or ["intent"]), message."""
    RUN_RESUMED = "RUN_RESUMED"
    """Another coordinator took the run over. Body: epoch, evidence."""
    # Annotations
    STEP_WORKER_STARTING = "STEP_WORKER_STARTING"
    STEP_START = "STEP_START"
    STEP_RESTARTED = "STEP_RESTARTED"
    STEP_INPUT = "STEP_INPUT"
    """Body: input, type_check (success, label, description, metadata)."""
    LOADED_INPUT = "LOADED_INPUT"
    """Body: input, manager_key, upstream_output, upstream_step."""
    HANDLED_OUTPUT = "HANDLED_OUTPUT"
    """Body: output, manager_key."""
    RESOURCE_INIT_STARTED = "RESOURCE_INIT_STARTED"
    RESOURCE_INIT_SUCCESS = "RESOURCE_INIT_SUCCESS"
    RESOURCE_INIT_FAILURE = "RESOURCE_INIT_FAILURE"
    LOGS_CAPTURED = "LOGS_CAPTURED"
    """Body: log_key (text or list), step_keys, pid."""
    ENGINE_EVENT = "ENGINE_EVENT"
    """Body: message, metadata, error, marker_start, marker_end; reported (true when a launcher, daemon or CLI says it); pod (of the pod that
    an attempt runs in: namespace, job, pod, node, and in seconds since the epoch created_at, scheduled_at, started_at); evidence (text: what the
    pod of an attempt that failed by itself printed last)."""
    HOOK_COMPLETED = "HOOK_COMPLETED"
    HOOK_ERRORED = "HOOK_ERRORED"
    HOOK_SKIPPED = "HOOK_SKIPPED"
    STEP_EXPECTATION_RESULT = "STEP_EXPECTATION_RESULT"
    """Body: success, label, description, metadata."""
    OBJECT_STORE_OPERATION = "OBJECT_STORE_OPERATION"
    ASSET_MATERIALIZATION = "ASSET_MATERIALIZATION"
    """Body: asset_key (text ``a/b``), metadata, description, partition, tags."""
    ASSET_MATERIALIZATION_PLANNED = "ASSET_MATERIALIZATION_PLANNED"
    """At the run's creation. Body: asset_key."""
    ASSET_FAILED_TO_MATERIALIZE = "ASSET_FAILED_TO_MATERIALIZE"
    ASSET_OBSERVATION = "ASSET_OBSERVATION"
    """Body: as of ASSET_MATERIALIZATION."""
    ASSET_CHECK_EVALUATION = "ASSET_CHECK_EVALUATION"
    """Body: asset_key, check_name, passed, severity (WARN or ERROR), metadata, description, blocking."""
    ASSET_CHECK_EVALUATION_PLANNED = "ASSET_CHECK_EVALUATION_PLANNED"
    """At the run's creation. Body: asset_key, check_name."""
    LOG = "LOG"
    """A line of ``context.log``. Body: message, level (logging's number), logger."""

    def __str__(self) -> str:
        return self.value


_FACTS = frozenset(
    {
        EventKind.RUN_ENQUEUED,
        EventKind.RUN_STARTING,
        EventKind.RUN_START,
        EventKind.RUN_CANCELING,
        EventKind.RUN_CANCELED,
        EventKind.RUN_SUCCESS,
        EventKind.RUN_FAILURE,
        EventKind.STEP_WORKER_STARTED,
        EventKind.STEP_OUTPUT,
        EventKind.STEP_SUCCESS,
        EventKind.STEP_FAILURE,
        EventKind.STEP_UP_FOR_RETRY,
        EventKind.STEP_SKIPPED,
    }
)
_INTERNAL = frozenset({EventKind.STEP_ISSUED, EventKind.STEP_SEALED, EventKind.STEP_ABANDONED, EventKind.RUN_RESUMED})
KNOWN_KINDS = frozenset(k.value for k in EventKind)


def category_of(kind: str) -> Category:
    """The category of a kind; a kind that is not known here is an annotation."""
    if kind in _FACTS:
        return Category.FACT
    return Category.INTERNAL if kind in _INTERNAL else Category.ANNOTATION
