"""The context that an op's function is given.

Source: https://docs.dagster.io/api/dagster/execution (OpExecutionContext).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from ..events.run import Run
from .errors import DagsterInvariantViolationError
from .node_handle import NodeHandle
from .resources import Resources
from .results import DEFAULT_OUTPUT


def _always_current() -> None:
    """Outside a run there is nobody who could have taken the step over."""


def _unheard(_event: Any) -> None:
    """Outside a run there is no log."""


class OpExecutionContext:
    """One attempt of one step, as user code sees it.

    Attributes:
        op_def: the op.
        op_config: its config, checked, defaults filled in.
        resources: the resources it asked for.
        log: a logger whose lines become events of the run.
        run: the run.
        step_key: the step's key in the plan.
        retry_number: how often user code or a retry policy had it run again before (0 at first).
        attempt: number of this attempt, lost ones counted (1 at first).
        instance: the instance, when there is one in this process.
        job_def: the job.
    """

    def __init__(
        self,
        *,
        op_def: Any,
        op_config: Any = None,
        resources: Resources | None = None,
        log: logging.Logger | None = None,
        run: Run | None = None,
        job_def: Any = None,
        node: str | None = None,
        step_key: str | None = None,
        mapping_key: str | None = None,
        retry_number: int = 0,
        attempt: int = 1,
        instance: Any = None,
        ensure_current: Callable[[], None] = _always_current,
        on_event: Callable[[Any], None] = _unheard,
    ) -> None:
        self.op_def = op_def
        self.op_config = op_config
        self.resources = resources or Resources({})
        self.log = log or logging.getLogger("dagster")
        self._run = run
        self.job_def = job_def
        self.node = node or (op_def.name if op_def is not None else "")
        self.step_key = step_key or self.node
        self._mapping_key = mapping_key
        self.retry_number = retry_number
        self.attempt = attempt
        self.instance = instance
        self._ensure_current = ensure_current
        self._output_metadata: dict[tuple[str, str | None], dict[str, Any]] = {}
        self._on_event = on_event

    @property
    def run(self) -> Run:
        """The run.

        Raises:
            DagsterInvariantViolationError: the op was called as a function, outside a run.
        """
        if self._run is None:
            raise DagsterInvariantViolationError("there is no run here", hint="The op was called as a function.")
        return self._run

    @property
    def dagster_run(self) -> Run:
        """The run (Dagster's older name)."""
        return self.run

    @property
    def run_id(self) -> str:
        """The run's id; ``EPHEMERAL`` when the op was called as a function."""
        return self._run.run_id if self._run else "EPHEMERAL"

    @property
    def job_name(self) -> str:
        """The job's name."""
        return self.run.job_name

    @property
    def run_config(self) -> Mapping[str, Any]:
        """The run's config as the user gave it."""
        return self.run.run_config

    @property
    def run_tags(self) -> Mapping[str, str]:
        """The run's tags."""
        return self._run.tags if self._run else {}

    @property
    def op(self) -> Any:
        """The op as it is used in the graph: its ``name`` is the alias."""
        return self.op_def if self.job_def is None else self.job_def.graph.node_at(self.node)

    @property
    def op_execution_context(self) -> OpExecutionContext:
        """This context."""
        return self

    @property
    def selected_output_names(self) -> AbstractSet[str]:
        """Names of the outputs that the step is to make: all."""
        return frozenset(self.op_def.output_dict)

    @property
    def has_partition_key(self) -> bool:
        """Whether the run is for one partition: never in this version."""
        return False

    @property
    def has_partition_key_range(self) -> bool:
        """Whether the run is for several partitions: never in this version."""
        return False

    @property
    def has_partitions(self) -> bool:
        """Whether the run is for partitions: never in this version."""
        return False

    @property
    def partition_key(self) -> str:
        """The run's partition.

        Raises:
            DagsterInvariantViolationError: it is for none.
        """
        raise DagsterInvariantViolationError(
            "the run is for no partition.", hint="Partitions are not in this version; pass what you need as config."
        )

    def has_tag(self, key: str) -> bool:
        """Whether the run has this tag."""
        return key in self.run_tags

    def get_tag(self, key: str) -> str | None:
        """The run's tag, or None."""
        return self.run_tags.get(key)

    @property
    def op_handle(self) -> NodeHandle:
        """Path of the op in the job's graph (``sub.a``): text that knows its parts."""
        return NodeHandle(self.node)

    @property
    def node_handle(self) -> NodeHandle:
        """As ``op_handle``."""
        return self.op_handle

    def describe_op(self) -> str:
        """The op in a message."""
        return f'op "{self.node}"'

    def get_mapping_key(self) -> str | None:
        """The mapping key of this step, or None when it is not mapped."""
        return self._mapping_key

    def ensure_current(self) -> None:
        """Return if this attempt still has the right to act.

        Raises:
            FencedError: another attempt took the step over, or the run ended. Stop without writing anything.
        """
        self._ensure_current()

    def log_event(self, event: Any) -> None:
        """Add an event to the run's log, at once: an ``AssetMaterialization``, an ``AssetObservation``, ...

        Raises:
            DagsterInvariantViolationError: it is no event.
        """
        to_note = getattr(event, "to_note", None)
        if to_note is None:
            raise DagsterInvariantViolationError(
                "this is no event.", got=type(event).__name__, expected="AssetMaterialization, AssetObservation, ..."
            )
        self._on_event(to_note())

    def add_output_metadata(
        self, metadata: Mapping[str, Any], output_name: str | None = None, mapping_key: str | None = None
    ) -> None:
        """Show `metadata` with the event of an output. Call it before the output is yielded or returned.

        Args:
            metadata: text, numbers, booleans, lists, mappings or None, by label.
            output_name: which output; not needed when there is only one.
            mapping_key: which value of a dynamic output.

        Raises:
            DagsterInvariantViolationError: no such output, or several and none named.
        """
        name = self._one_output(output_name)
        self._output_metadata.setdefault((name, mapping_key), {}).update(metadata)

    def get_output_metadata(self, output_name: str, mapping_key: str | None = None) -> Mapping[str, Any] | None:
        """The metadata added so far to an output; empty when there is none."""
        return self._output_metadata.get((output_name, mapping_key), {})

    def _one_output(self, output_name: str | None) -> str:
        names = list(self.op_def.output_dict) if self.op_def is not None else [DEFAULT_OUTPUT]
        if output_name is None and len(names) == 1:
            return str(names[0])
        if output_name is None:
            raise DagsterInvariantViolationError(
                "Attempted to log metadata without providing output_name, but multiple outputs exist. Please provide an "
                "output_name to the invocation of `context.add_output_metadata`."
            )
        if output_name not in names:
            raise DagsterInvariantViolationError(
                f"Attempted to log metadata for output '{output_name}' which does not exist.", expected=", ".join(names)
            )
        return output_name
