"""What came of a run that was executed here.

Source: https://docs.dagster.io/api/dagster/execution (ExecuteInProcessResult, JobExecutionResult).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import definitions
from ..engine.snapshot import StoredOutput, template_key
from ..errors.suggest import nearest
from ..events.event import Event
from ..events.kinds import EventKind
from ..events.run import Run
from ..events.status import RunStatus
from .asset_results import AssetResults
from .dagster_event import DagsterEvent, DagsterEventType, seen_by_users
from .errors import DagsterInvariantViolationError
from .results import DEFAULT_OUTPUT

LoadValue = Callable[[StoredOutput], Any]


class JobExecutionResult(AssetResults):
    """A run that ended: its events, and the values of its outputs.

    Args:
        job: the job.
        run: the run as it ended.
        events: all its events, in order.
        load: gives the value of an output that the run produced.

    Attributes:
        job_def: the job.
        stored_events: the events as they are stored, all kinds.
    """

    def __init__(self, job: Any, run: Run, events: Sequence[Event], load: LoadValue) -> None:
        self.job_def = job
        self.run = run
        self.stored_events: Sequence[Event] = events
        self.load = load

    @functools.cached_property
    def all_events(self) -> Sequence[DagsterEvent]:
        """Its events, in order; lines of the log are not among them."""
        return seen_by_users(self.stored_events, self.run.job_name)

    def __enter__(self) -> JobExecutionResult:
        return self

    def __exit__(self, *_error: object) -> None:
        """Nothing to close: values are loaded when they are asked for."""

    @property
    def success(self) -> bool:
        """Whether the run succeeded."""
        return self.run.status is RunStatus.SUCCESS

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.run.run_id

    @property
    def dagster_run(self) -> Run:
        """The run."""
        return self.run

    @property
    def all_node_events(self) -> list[DagsterEvent]:
        """The events that belong to a step."""
        return [e for e in self.all_events if e.is_step_event]

    def filter_events(self, event_filter: Callable[[DagsterEvent], bool]) -> list[DagsterEvent]:
        """The events for which `event_filter` is true."""
        return [e for e in self.all_events if event_filter(e)]

    def events_for_node(self, node_name: str) -> list[DagsterEvent]:
        """The events of the op at path `node_name` (``sub.a``), those of its mapped steps included.

        Raises:
            DagsterInvariantViolationError: the job has no such op.
        """
        self.job_def.graph.node_at(node_name)
        return [e for e in self.all_events if e.step_key is not None and _node_of(e.step_key) == node_name]

    def is_node_success(self, node_str: str) -> bool:
        """Whether a step of this op succeeded."""
        return self._has(node_str, DagsterEventType.STEP_SUCCESS)

    def is_node_failed(self, node_str: str) -> bool:
        """Whether a step of this op failed."""
        return self._has(node_str, DagsterEventType.STEP_FAILURE)

    def is_node_skipped(self, node_str: str) -> bool:
        """Whether a step of this op was skipped."""
        return self._has(node_str, DagsterEventType.STEP_SKIPPED)

    def is_node_untouched(self, node_str: str) -> bool:
        """Whether nothing happened to this op."""
        return not self.events_for_node(node_str)

    def get_failed_step_keys(self) -> set[str]:
        """Keys of the steps that failed."""
        return {e.step_key for e in self.get_step_failure_events() if e.step_key is not None}

    def get_step_success_events(self) -> list[DagsterEvent]:
        """The events of successes."""
        return self._of_type(DagsterEventType.STEP_SUCCESS)

    def get_step_failure_events(self) -> list[DagsterEvent]:
        """The events of failures."""
        return self._of_type(DagsterEventType.STEP_FAILURE)

    def get_step_skipped_events(self) -> list[DagsterEvent]:
        """The events of skipped steps."""
        return self._of_type(DagsterEventType.STEP_SKIPPED)

    def failure_data_for_node(self, node_str: str) -> Any:
        """Error and, of a ``Failure``, its description and metadata: of the step of this op that failed; None when none did."""
        failed = [e for e in self.events_for_node(node_str) if e.event_type is DagsterEventType.STEP_FAILURE]
        return failed[0].event_specific_data if failed else None

    def compute_events_for_handle(self, handle: str) -> list[DagsterEvent]:
        """As ``events_for_node``: the events of the op at a path."""
        return self.events_for_node(handle)

    def expectation_results_for_node(self, node_str: str) -> Sequence[Any]:
        """What the op at path `node_str` found when it tested its data, as ``ExpectationResult``."""
        kind = DagsterEventType.STEP_EXPECTATION_RESULT
        return [
            definitions.event_data.expectation_of(e.stored)
            for e in self.events_for_node(node_str)
            if e.event_type is kind
        ]

    def get_run_success_event(self) -> DagsterEvent:
        """The event with which the run succeeded.

        Raises:
            DagsterInvariantViolationError: it did not.
        """
        return self._of_the_end(DagsterEventType.RUN_SUCCESS)

    def get_run_failure_event(self) -> DagsterEvent:
        """The event with which the run failed.

        Raises:
            DagsterInvariantViolationError: it did not.
        """
        return self._of_the_end(DagsterEventType.RUN_FAILURE)

    def retry_attempts_for_node(self, node_str: str) -> int:
        """How often a step of this op was run again."""
        return sum(1 for e in self.events_for_node(node_str) if e.event_type is DagsterEventType.STEP_RESTARTED)

    def output_for_node(self, node_str: str, output_name: str = DEFAULT_OUTPUT) -> Any:
        """The value of an output of the op or graph at path `node_str`.

        For a dynamic output, or an op that was mapped, the values by mapping key.

        Raises:
            DagsterInvariantViolationError: no such op or output, or it was not produced.
        """
        path, output = self._resolve(node_str, output_name)
        produced = [
            e
            for e in self.stored_events
            if e.kind == EventKind.STEP_OUTPUT
            and e.step
            and _node_of(e.step) == path
            and e.body.get("output") == output
        ]
        if not produced:
            raise DagsterInvariantViolationError(
                f"Did not find result '{output_name}' in node '{node_str}'.",
                hint="Its step did not run, failed, or skipped it.",
            )
        # What carries no value (`Nothing`) was kept nowhere.
        by_key = {
            _key_of(e): None if e.body.get("location") is None else self.load(_stored(self.run_id, e)) for e in produced
        }
        return by_key.get(None, by_key)

    def output_value(self, output_name: str = DEFAULT_OUTPUT) -> Any:
        """The value of an output of the job's graph.

        Raises:
            DagsterInvariantViolationError: the graph has no such output.
        """
        sources = self.job_def.graph.output_sources
        if output_name not in sources:
            raise DagsterInvariantViolationError(
                f"The top-level graph '{self.job_def.graph.name}' has no output '{output_name}'.",
                nearest=nearest(output_name, sources),
            )
        source = sources[output_name]
        return self.output_for_node(source.node, source.name)

    def _resolve(self, path: str, output: str) -> tuple[str, str]:
        """The op whose output this is: a graph's output is that of a node in it."""
        definition = self.job_def.graph.node_at(path).definition
        if output not in definition.output_dict:
            raise DagsterInvariantViolationError(
                f"{definition.kind} '{path}' has no output '{output}'.", nearest=nearest(output, definition.output_dict)
            )
        if definition.kind == "op":
            return path, output
        source = definition.output_sources[output]
        return self._resolve(f"{path}.{source.node}", source.name)

    def _of_the_end(self, kind: DagsterEventType) -> DagsterEvent:
        found = self._of_type(kind)
        if not found:
            raise DagsterInvariantViolationError(
                f"run {self.run_id} has no event {kind.name}.", got=self.run.status.value
            )
        return found[0]

    def _of_type(self, kind: DagsterEventType) -> list[DagsterEvent]:
        return [e for e in self.all_events if e.event_type is kind]

    def _has(self, node_name: str, kind: DagsterEventType) -> bool:
        return any(e.event_type is kind for e in self.events_for_node(node_name))


class ExecuteInProcessResult(JobExecutionResult):
    """What ``execute_in_process`` gives."""


def _node_of(step_key: str) -> str:
    return template_key(step_key).removesuffix("[?]")


def _key_of(event: Event) -> str | None:
    """The mapping key under which a value is shown: of the output, or of the mapped step."""
    key: str | None = event.body.get("mapping_key")
    step = event.step or ""
    return key if key is not None or not step.endswith("]") else step[step.index("[") + 1 : -1]


def _stored(run_id: str, event: Event) -> StoredOutput:
    body: Mapping[str, Any] = event.body
    return StoredOutput(run_id, event.step or "", body["output"], body.get("mapping_key"), body.get("location"))
