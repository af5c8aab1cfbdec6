"""The contexts that user code gets in one attempt of a step: for the op, for the IO managers of its outputs and inputs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from ..definitions.errors import DagsterInvariantViolationError
from ..definitions.ins_outs import InputDefinition, OutputDefinition
from ..definitions.io_manager import InputContext, OutputContext
from ..definitions.op_context import OpExecutionContext
from ..definitions.step_assets import AssetSource
from ..definitions.value_type import ValueType
from ..engine.snapshot import StoredOutput, mapping_key_of, template_key
from .resource_scope import ResourceScope
from .step_request import StepRequest


class StepContexts:
    """Makes the contexts of one attempt.

    Args:
        request: the attempt.
        scope: where its resources are open.
        log: its logger.
    """

    def __init__(self, request: StepRequest, scope: ResourceScope, log: logging.Logger) -> None:
        self.request = request
        self.scope = scope
        self.log = log
        self.wired = request.job.wired(request.step.node)
        self.op = self.wired.op
        self.assets = request.job.assets.step(request.step.node)
        self.op_config = scope.config.for_op(request.step.node)

    def for_op(self, on_event: Callable[[Any], None]) -> OpExecutionContext:
        """What the op's function gets; `on_event` is told the events that it logs."""
        request = self.request
        return self.assets.make_context(
            op_def=self.op,
            op_config=self.op_config.config,
            resources=self.scope.view(self.op.required_resource_keys),
            log=self.log,
            run=request.run,
            job_def=request.job,
            node=request.step.node,
            step_key=request.step_key,
            mapping_key=mapping_key_of(request.step_key),
            retry_number=request.retry_number,
            attempt=request.n,
            instance=request.instance,
            ensure_current=request.ensure_current,
            on_event=on_event,
        )

    def for_output(
        self, out: OutputDefinition, mapping_key: str | None, output_metadata: Mapping[str, Any]
    ) -> OutputContext:
        """What the IO manager that keeps the output gets."""
        return OutputContext(
            step_key=self.request.step_key,
            name=out.name,
            run_id=self.request.run.run_id,
            mapping_key=mapping_key,
            attempt=self.request.n,
            metadata=out.metadata,
            output_metadata=output_metadata,
            asset_key=self.assets.output_key(out.name),
            dagster_type=out.type,
            log=self.log,
            resources=self._needs(out.io_manager_key),
            resource_config=self.scope.config.resources.get(out.io_manager_key),
            op_def=self.op,
            job_name=self.request.job.name,
            ensure_current=self.request.ensure_current,
        )

    def for_input(self, spec: InputDefinition, stored: StoredOutput | None, manager_key: str) -> InputContext:
        """What the manager that loads an input gets; `stored`: the output that it is loaded from, if it is one's."""
        return InputContext(
            name=spec.name,
            upstream_output=None if stored is None else self._upstream(stored),
            metadata=spec.metadata,
            asset_key=self.assets.input_key(spec.name),
            dagster_type=spec.type,
            log=self.log,
            resources=self._needs(manager_key),
            resource_config=self.scope.config.resources.get(manager_key),
            op_def=self.op,
            job_name=self.request.job.name,
            run_id=self.request.run.run_id,
            step_key=self.request.step_key,
        )

    def for_type(self, kind: ValueType) -> Any:
        """What the check of a type gets; None where the check asks for nothing."""
        return kind.make_context(self.request.run.run_id, self.log, self.scope.view(kind.required_resource_keys))

    def for_loader(self, kind: ValueType) -> Any:
        """What the loader of a type gets."""
        return kind.loader.make_context(
            run_id=self.request.run.run_id,
            job_name=self.request.job.name,
            op_def=self.op,
            log=self.log,
            resources=self.scope.view(kind.loader.required_resource_keys()),
        )

    def for_source(self, spec: InputDefinition, source: AssetSource, manager_key: str) -> InputContext:
        """What the IO manager that loads an asset, which no step of this run makes, gets."""
        shared: dict[str, Any] = {
            "asset_key": source.key,
            "log": self.log,
            "resources": self._needs(manager_key),
            "resource_config": self.scope.config.resources.get(manager_key),
            "job_name": self.request.job.name,
        }
        text = source.key.to_escaped_user_string()
        upstream = OutputContext(
            step_key="none",
            name=source.output,
            metadata=source.metadata,
            read_value=lambda: self.request.values.of_asset(text),
            **shared,
        )
        return InputContext(
            name=spec.name,
            upstream_output=upstream,
            metadata=spec.metadata,
            dagster_type=spec.type,
            op_def=self.op,
            run_id=self.request.run.run_id,
            step_key=self.request.step_key,
            **shared,
        )

    def upstream_definition(self, stored: StoredOutput) -> OutputDefinition:
        """The definition of an output that this step takes.

        Raises:
            DagsterInvariantViolationError: the job has no such op, or the op no such output (its code has changed).
        """
        op = self.request.job.wired(template_key(stored.step).removesuffix("[?]")).op
        if stored.output not in op.output_dict:
            raise DagsterInvariantViolationError(
                f"op '{op.name}' has no output '{stored.output}' any more.",
                expected=", ".join(op.output_dict),
                hint="The job's code differs from the code that made the value.",
            )
        found: OutputDefinition = op.output_dict[stored.output]
        return found

    def _upstream(self, stored: StoredOutput) -> OutputContext:
        out = self.upstream_definition(stored)
        return OutputContext(
            step_key=stored.step,
            name=stored.output,
            run_id=stored.run_id,
            mapping_key=stored.mapping_key,
            metadata=out.metadata,
            asset_key=self.assets.output_key_of(template_key(stored.step).removesuffix("[?]"), stored.output),
            dagster_type=out.type,
            log=self.log,
            resources=self._needs(out.io_manager_key),
            resource_config=self.scope.config.resources.get(out.io_manager_key),
            op_def=self.request.job.wired(template_key(stored.step).removesuffix("[?]")).op,
            job_name=self.request.job.name,
            location=stored.location,
            read_value=lambda: self.request.values.of_output(stored),
        )

    def _needs(self, manager_key: str) -> Any:
        return self.scope.view(self.scope.definition(manager_key).required_resource_keys)
