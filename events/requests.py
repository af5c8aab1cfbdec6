"""Request documents: what one process hands to another so that it runs a run or a step, and what travels in them.

They are made and read through ``wire.py``; here is only what they mean. Source: the ``api`` verbs of Dagster's command,
https://docs.dagster.io/api/dagster/internals. `extra` holds fields that this version does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from enum import Enum
from typing import Any

from ..serdes.record import record
from .origin import JobOrigin

Extra = Mapping[str, Any]


class RetryMode(Enum):
    """Who retries a step. A parent that is ENABLED passes DEFERRED on: the child reports, the parent waits and starts it again."""

    ENABLED = "ENABLED"
    DISABLED = "DISABLED"
    DEFERRED = "DEFERRED"


@record
class ConfigurableClassData:
    """A class of an instance: importable `module`, `class_name`, and its config as YAML text, env sources unresolved."""

    module: str
    class_name: str
    config_yaml: str
    extra: Extra = field(default_factory=dict, hash=False)


@record
class InstanceRef:
    """A whole instance as data: what a process needs in place of a ``dagster.yaml``.

    `settings` has the plain sections as the user wrote them. `storage` wins; `run_storage`, `event_storage` and
    `schedule_storage` repeat it for readers that do not know it.
    """

    local_artifact_storage: ConfigurableClassData | None
    compute_logs: ConfigurableClassData | None
    scheduler: ConfigurableClassData | None
    run_coordinator: ConfigurableClassData | None
    run_launcher: ConfigurableClassData | None
    settings: Mapping[str, Any] = field(hash=False)
    run_storage: ConfigurableClassData | None
    event_storage: ConfigurableClassData | None
    schedule_storage: ConfigurableClassData | None
    custom_instance_class: ConfigurableClassData | None = None
    storage: ConfigurableClassData | None = None
    secrets_loader: ConfigurableClassData | None = None
    defs_state_storage: ConfigurableClassData | None = None
    extra: Extra = field(default_factory=dict, hash=False)


@record
class ExecuteRunArgs:
    """Run a run (``api execute_run``).

    Attributes:
        instance: the instance; None means that the process has it (``DAGSTER_HOME``).
        origin: where the job's code is. The run's own stored origin wins.
        run_id: the run, which is stored already.
        set_exit_code_on_failure: exit with 1 when the run fails.
    """

    instance: InstanceRef | None
    origin: JobOrigin
    run_id: str
    set_exit_code_on_failure: bool = False
    extra: Extra = field(default_factory=dict, hash=False)


@record
class ResumeRunArgs:
    """Take a run over from a worker that was lost (``api resume_run``). Attributes as in ``ExecuteRunArgs``."""

    instance: InstanceRef | None
    origin: JobOrigin
    run_id: str
    set_exit_code_on_failure: bool = False
    extra: Extra = field(default_factory=dict, hash=False)


@record
class StepOutputHandle:
    """An output of a step of the run."""

    step_key: str
    output_name: str = "result"
    mapping_key: str | None = None
    extra: Extra = field(default_factory=dict, hash=False)


@record
class StepOutputVersionData:
    """The data version of a step's output."""

    step_output_handle: StepOutputHandle
    version: str
    extra: Extra = field(default_factory=dict, hash=False)


@record
class PastExecutionState:
    """What an earlier run of the group produced, and the one before it."""

    run_id: str
    produced_outputs: frozenset[StepOutputHandle] = frozenset()
    parent_state: PastExecutionState | None = None
    extra: Extra = field(default_factory=dict, hash=False)


@record
class KnownExecutionState:
    """What a run has done so far. It grows with the plan: read in Dagster's documents, left out of ours (read by run id instead).

    Attributes:
        previous_retry_attempts: step key -> how often user code was retried.
        dynamic_mappings: step key -> output -> its mapping keys, None where the output was skipped.
        step_output_versions: data versions.
        ready_outputs: outputs that exist.
        parent_state: what a re-execution takes from its parents.
    """

    previous_retry_attempts: Mapping[str, int] = field(default_factory=dict, hash=False)
    dynamic_mappings: Mapping[str, Mapping[str, tuple[str, ...] | None]] = field(default_factory=dict, hash=False)
    step_output_versions: tuple[StepOutputVersionData, ...] = ()
    ready_outputs: frozenset[StepOutputHandle] = frozenset()
    parent_state: PastExecutionState | None = None
    extra: Extra = field(default_factory=dict, hash=False)


@record
class IssuedAttempt:
    """Which attempt a step document is for. Dagster's reader drops it.

    Attributes:
        attempt: the attempt's number, from 1, over user and infrastructure retries.
        epoch: the run epoch of the coordinator that issued it.
    """

    attempt: int
    epoch: int
    extra: Extra = field(default_factory=dict, hash=False)


@record
class ExecuteStepArgs:
    """Execute steps of a run (``api execute_step``).

    Attributes:
        instance, origin, run_id: as in ``ExecuteRunArgs``.
        step_keys: the steps; None means all.
        known_state: what the run has done so far; None in ours.
        print_serialized_events: print each event on stdout.
        retry_mode: who retries.
        should_verify_step: refuse a step that was started before.
        issued: the attempt that it is for (``runplane`` in the document); None in a document that Dagster made.
    """

    instance: InstanceRef | None
    origin: JobOrigin
    run_id: str
    step_keys: tuple[str, ...] | None
    known_state: KnownExecutionState | None = None
    print_serialized_events: bool = False
    retry_mode: RetryMode | None = None
    should_verify_step: bool = False
    issued: IssuedAttempt | None = None
    extra: Extra = field(default_factory=dict, hash=False)


def request_origin(origin: JobOrigin) -> JobOrigin:
    """`origin` as a request of ours carries it: without the container context, which can be of any size.

    Whoever makes a pod takes the context from the run as it is stored, so a request stays below 1 kB (plus the instance).
    """
    return replace(origin, repository_origin=replace(origin.repository_origin, container_context=None))
