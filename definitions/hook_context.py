"""The context that a hook is given.

Source: https://docs.dagster.io/api/dagster/hooks (HookContext, build_hook_context)
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, TypeVar

from .errors import DagsterInvalidPropertyError
from .hooks import HookDefinition
from .resources import ClosesResources, Resources, opened_resources

T = TypeVar("T")


class HookContext:
    """One step that ended, as a hook sees it.

    Attributes:
        resources: those that the hook requires.
        log: a logger whose lines become events of the run.
        op_config: config of the op, checked.
        op_exception: what failed the step; None after a success.
        op_output_values: values by output name; of a dynamic output, by mapping key.
        op_output_metadata: metadata by output name; of a dynamic output, by mapping key.
        instance: the instance, when there is one in this process.
    """

    def __init__(
        self,
        *,
        hook_def: HookDefinition | None = None,
        op: Any = None,
        step_key: str | None = None,
        run_id: str | None = None,
        job_name: str | None = None,
        resources: Resources | None = None,
        log: logging.Logger | None = None,
        op_config: Any = None,
        op_exception: BaseException | None = None,
        op_output_values: Mapping[str, Any] | None = None,
        op_output_metadata: Mapping[str, Any] | None = None,
        instance: Any = None,
    ) -> None:
        self._hook_def = hook_def
        self._op = op
        self._step_key = step_key
        self._run_id = run_id
        self._job_name = job_name
        self.resources = resources or Resources({})
        self.log = log or logging.getLogger("dagster")
        self.op_config = op_config
        self.op_exception = op_exception
        self.op_output_values = dict(op_output_values or {})
        self.op_output_metadata = dict(op_output_metadata or {})
        self.instance = instance

    @property
    def hook_def(self) -> HookDefinition:
        """The hook."""
        return self._known("hook_def", self._hook_def)

    @property
    def op(self) -> Any:
        """The op as it is used in the graph: its ``name`` is the alias."""
        return self._known("op", self._op)

    @property
    def step_key(self) -> str:
        """Key of the step."""
        return self._known("step_key", self._step_key)

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self._known("run_id", self._run_id)

    @property
    def job_name(self) -> str:
        """The job's name."""
        return self._known("job_name", self._job_name)

    @property
    def required_resource_keys(self) -> AbstractSet[str]:
        """Keys of the resources that the hook requires."""
        return self.hook_def.required_resource_keys

    def _known(self, name: str, value: T | None) -> T:
        """`value`. Raises DagsterInvalidPropertyError when the context was built without it."""
        if value is None:
            raise DagsterInvalidPropertyError(
                f"this hook context has no {name}.",
                hint="It was made by build_hook_context; a few of its arguments are what a run would tell.",
            )
        return value


class UnboundHookContext(ClosesResources, HookContext):
    """A hook's context outside a run."""

    def __init__(self, given: Mapping[str, Any], **facts: Any) -> None:
        super().__init__(**facts)
        self._opening = opened_resources(given)
        self.resources = self._opening.__enter__()


def build_hook_context(
    resources: Mapping[str, Any] | None = None,
    op: Any = None,
    run_id: str | None = None,
    job_name: str | None = None,
    op_exception: Exception | None = None,
    instance: Any = None,
) -> UnboundHookContext:
    """A context with which a hook is called as a function, in tests.

    Args:
        resources: resources, or their definitions, by key.
        op: what ``context.op`` gives.
        run_id, job_name, op_exception, instance: what the context shows.
    """
    return UnboundHookContext(
        dict(resources or {}),
        op=op,
        run_id=run_id,
        job_name=job_name,
        op_exception=op_exception,
        instance=instance,
    )
