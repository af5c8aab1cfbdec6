"""Values of a run's outputs, loaded after its steps have ended, by the IO managers that kept them."""

from __future__ import annotations

import logging
from typing import Any

from ..definitions.errors import DagsterInvariantViolationError
from ..definitions.io_manager import InputContext, OutputContext
from ..definitions.job import JobDefinition
from ..engine.snapshot import StoredOutput, template_key
from ..events.event import NewEvent
from ..events.run import Run
from .resource_scope import ResourceScope
from .values import ValueReader

_log = logging.getLogger("runplane.stored_values")


class StoredValues:
    """Loads outputs of one run.

    Args:
        job: the job.
        run: the run.
        values: reads values that the database of runs keeps.
        scope: resources that were open during the run: an IO manager that keeps values in memory has them only there. What is not
            open there is opened when it is asked for.
    """

    def __init__(self, job: JobDefinition, run: Run, scope: ResourceScope, values: ValueReader) -> None:
        self._job = job
        self._run = run
        self._scope = scope
        self._values = values
        self._managers: dict[str, Any] = {}

    def keep_managers(self) -> None:
        """Remember the IO managers, before the scope is closed."""
        for op in self._job.wiring:
            for out in op.op.output_dict.values():
                if self._scope.is_open(out.io_manager_key):
                    self._managers[out.io_manager_key] = self._scope[out.io_manager_key]

    def load(self, stored: StoredOutput) -> Any:
        """The value of an output.

        Raises:
            DagsterInvariantViolationError: the job has no such output. Whatever its IO manager raises.
        """
        path = template_key(stored.step).removesuffix("[?]")
        op = self._job.wired(path).op
        if stored.output not in op.output_dict:
            raise DagsterInvariantViolationError(
                f"op '{op.name}' has no output '{stored.output}'.", expected=", ".join(op.output_dict)
            )
        out = op.output_dict[stored.output]
        manager = self._manager(out.io_manager_key)
        shared: dict[str, Any] = {
            "log": _log,
            "resources": self._scope.view(()),
            "resource_config": self._scope.config.resources.get(out.io_manager_key),
            "op_def": op,
            "job_name": self._job.name,
            "asset_key": self._job.assets.step(path).output_key(stored.output),
        }
        upstream = OutputContext(
            step_key=stored.step,
            name=stored.output,
            run_id=stored.run_id,
            mapping_key=stored.mapping_key,
            metadata=out.metadata,
            dagster_type=out.type,
            location=stored.location,
            read_value=lambda: self._values.of_output(stored),
            **shared,
        )
        context = InputContext(
            name=stored.output,
            upstream_output=upstream,
            metadata=out.metadata,
            dagster_type=out.type,
            run_id=self._run.run_id,
            step_key=stored.step,
            **shared,
        )
        return manager.load_input(context)

    def _manager(self, key: str) -> Any:
        if key not in self._managers:
            self._scope.open([key], _unheard, _log, step=None, n=None)
            self._managers[key] = self._scope[key]
        return self._managers[key]


def _unheard(_: NewEvent) -> None:
    """The run is over: what a resource tells while it is opened again belongs to no run."""
