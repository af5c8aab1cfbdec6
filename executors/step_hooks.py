"""After a step's outcome: its hooks, one after the other. Whatever they do, the outcome stays what it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..definitions.dagster_event import seen_by_users
from ..definitions.errors import DagsterExecutionInterruptedError
from ..definitions.hook_context import HookContext
from ..definitions.hooks import HookDefinition
from ..definitions.ins_outs import OutputDefinition
from ..definitions.user_errors import error_info
from ..events.event import Event, NewEvent
from ..events.kinds import EventKind
from .step_context import StepContexts
from .step_log import listened


class Ended:
    """What the hooks of one attempt are told, gathered while it runs.

    Args:
        hooks: the hooks of the step's op.
        contexts: the attempt's contexts, its resources open.

    Attributes:
        events: what the attempt told, in order.
        exception: what it ended with, when it did not succeed.
    """

    def __init__(self, hooks: Sequence[HookDefinition], contexts: StepContexts) -> None:
        self._hooks = hooks
        self._contexts = contexts
        self._values: dict[str, Any] = {}
        self._metadata: dict[str, Any] = {}
        self.events: list[NewEvent] = []
        self.exception: BaseException | None = None

    @property
    def names(self) -> list[str]:
        """The names of the hooks."""
        return [hook.name for hook in self._hooks]

    def note_output(
        self, out: OutputDefinition, mapping_key: str | None, value: Any, metadata: Mapping[str, Any]
    ) -> None:
        """An output that user code gave."""
        if out.is_dynamic:
            self._values.setdefault(out.name, {})[mapping_key] = value
            self._metadata.setdefault(out.name, {})[mapping_key] = dict(metadata)
        else:
            self._values[out.name] = value
            self._metadata[out.name] = dict(metadata)

    def call_hooks(self, emit: Callable[[NewEvent], None]) -> None:
        """Call each hook and tell what came of it. An interrupt ends the row: the attempt has its outcome, and the process is to end."""
        request = self._contexts.request
        run = request.run
        seen = [Event(run.run_id, 0, *e[:5], e.written_at) for e in self.events]
        told = seen_by_users(seen, run.job_name)
        for hook in self._hooks:
            try:
                with listened(self._contexts.log, request.log_settings, run, step=request.step_key, n=request.n):
                    result = hook.hook_fn(self._context(hook), told)
            except (Exception, DagsterExecutionInterruptedError, SystemExit) as error:  # noqa: BLE001 - user code; told by the event
                self._tell(emit, EventKind.HOOK_ERRORED, error=error_info(error).to_body())
                if isinstance(error, DagsterExecutionInterruptedError):
                    return
            else:
                kind = EventKind.HOOK_SKIPPED if result.is_skipped else EventKind.HOOK_COMPLETED
                self._tell(emit, kind, message=_sentence(kind, hook.name, self._contexts.request.step.node))

    def _context(self, hook: HookDefinition) -> HookContext:
        request = self._contexts.request
        return HookContext(
            hook_def=hook,
            op=request.job.graph.node_at(request.step.node),
            step_key=request.step_key,
            run_id=request.run.run_id,
            job_name=request.run.job_name,
            resources=self._contexts.scope.view(hook.required_resource_keys),
            log=self._contexts.log,
            op_config=self._contexts.op_config.config,
            op_exception=self.exception,
            op_output_values=self._values,
            op_output_metadata=self._metadata,
            instance=request.instance,
        )

    def _tell(self, emit: Callable[[NewEvent], None], kind: EventKind, **body: Any) -> None:
        request = self._contexts.request
        emit(NewEvent(kind.value, request.step_key, request.n, body, time.time()))


def _sentence(kind: EventKind, hook: str, node: str) -> str:
    if kind is EventKind.HOOK_COMPLETED:
        return f'Finished the execution of hook "{hook}" triggered for "{node}".'
    return f'Skipped the execution of hook "{hook}". It did not meet its triggering condition during the execution of "{node}".'
