"""Executor definitions: a name, a config schema, and a pointer to the class that runs the steps.

A definition is generic in what it makes: it names the class and never imports it, so that a user's file that mentions
``k8s_job_executor`` loads no Kubernetes client.

Source: https://docs.dagster.io/api/dagster/execution (executors) and https://docs.dagster.io/api/libraries/dagster-k8s
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import Enum
from typing import Any

from ..errors.base import ConfigErrors
from ..errors.problems import Problems
from ..serdes.record import record
from .config_schema import ANY, ConfigType, Field, Permissive, as_field
from .errors import DagsterInvalidDefinitionError
from .ins_outs import UNSET
from .names import check_name


class ExecutorRequirement(Enum):
    """What an executor needs of the run."""

    RECONSTRUCTABLE_PIPELINE = "RECONSTRUCTABLE_PIPELINE"
    """The job's code can be loaded by another process."""
    RECONSTRUCTABLE_JOB = "RECONSTRUCTABLE_PIPELINE"
    NON_EPHEMERAL_INSTANCE = "NON_EPHEMERAL_INSTANCE"
    """The run is kept where another process can see it."""
    PERSISTENT_OUTPUTS = "PERSISTENT_OUTPUTS"
    """Outputs are kept where another process can load them."""


def multiple_process_executor_requirements() -> list[ExecutorRequirement]:
    """What an executor needs that runs steps in other processes."""
    return [
        ExecutorRequirement.RECONSTRUCTABLE_PIPELINE,
        ExecutorRequirement.NON_EPHEMERAL_INSTANCE,
        ExecutorRequirement.PERSISTENT_OUTPUTS,
    ]


@record
class ExecutorPointer:
    """The executor of a run as data: which class, with which config, and what it needs of the run.

    `by_function`: `class_name` is a user's ``@executor`` function, which makes the executor.
    """

    name: str
    module: str
    class_name: str
    config: Mapping[str, Any]
    requirements: tuple[ExecutorRequirement, ...] = ()
    by_function: bool = False

    def to_body(self) -> dict[str, Any]:
        """The form kept in a plan."""
        body = {"name": self.name, "module": self.module, "class": self.class_name, "config": dict(self.config)}
        return {**body, "function": True} if self.by_function else body


class ExecutorDefinition:
    """What runs the steps of a job.

    Attributes:
        name: its name.
        module, class_name: where the class is; for a user's function: where that function is.
        config_field: schema of its config.
        executor_creation_fn: a user's own function that makes the executor; None for the package's own.
        choices: for a definition that chooses by the key of its config: the definitions by key.
    """

    def __init__(
        self,
        name: str,
        config_schema: Any = UNSET,
        *,
        module: str = "",
        class_name: str = "",
        requirements: Any = None,
        executor_creation_fn: Callable[..., Any] | None = None,
        description: str | None = None,
        choices: Mapping[str, ExecutorDefinition] | None = None,
        given: Any = UNSET,
        inner: ExecutorDefinition | None = None,
    ) -> None:
        self.name = name
        self.module = module
        self.class_name = class_name
        self.description = description
        self.config_field: Field | None = None if config_schema in (UNSET, None) else as_field(config_schema)
        self.executor_creation_fn = executor_creation_fn
        self.choices = dict(choices or {})
        self._requirements = requirements
        self._given = given
        self._inner = inner

    @property
    def config_schema(self) -> Field | None:
        """The schema of its config."""
        return self.config_field

    def get_requirements(self, executor_config: Mapping[str, Any]) -> list[ExecutorRequirement]:
        """What it needs of a run with this config."""
        return list(self.pointer(executor_config, Problems()).requirements)

    def configured(
        self,
        config_or_config_fn: Any,
        name: str | None = None,
        config_schema: Any = UNSET,
        description: str | None = None,
    ) -> ExecutorDefinition:
        """The same executor with its config given now, or made from another config by a function.

        Raises:
            ConfigErrors: the given config is not right.
        """
        made_by_fn = callable(config_or_config_fn)
        if not made_by_fn:
            _read(self.config_type, config_or_config_fn, f"config of executor '{name or self.name}'")
        return ExecutorDefinition(
            name or self.name,
            (config_schema if config_schema is not UNSET else ANY) if made_by_fn else UNSET,
            description=description or self.description,
            given=config_or_config_fn,
            inner=self,
        )

    @property
    def config_type(self) -> ConfigType:
        """The kind of its config."""
        return self.config_field.config_type if self.config_field else Permissive()

    def check(self, config: Any, problems: Problems) -> Any:
        """The config with defaults filled in (those of the executor's own schema; see ``pointer`` for the whole)."""
        if self.config_field is None:
            if config:
                problems.add("this executor takes no config", expected="nothing")
            return {}
        if config is None or config == {}:
            default = self.config_field.default_value
            config = {} if default is UNSET else default
        return self.config_type.read(config, problems, None)

    def pointer(self, config: Any, problems: Problems) -> ExecutorPointer:
        """The class and whole config that run config `config` means. Problems are collected, with their paths."""
        checked = self.check(config, problems)
        if not isinstance(checked, Mapping):
            return ExecutorPointer(self.name, "", "", {})
        if self._inner is not None:
            given = self._given(checked) if callable(self._given) else self._given
            return replace(self._inner.pointer(given, problems), name=self.name)
        if self.choices:
            if len(checked) != 1 or next(iter(checked)) not in self.choices:
                return ExecutorPointer(self.name, "", "", {})
            key, chosen = next(iter(checked.items()))
            return self.choices[key].pointer(chosen, problems.at(key))
        needs = self._requirements(checked) if callable(self._requirements) else self._requirements or []
        by_function = self.executor_creation_fn is not None
        return ExecutorPointer(self.name, self.module, self.class_name, checked, tuple(needs), by_function)

    def __repr__(self) -> str:
        return f"<executor {self.name}>"


def _read(kind: ConfigType, config: Any, where: str) -> Any:
    problems = Problems()
    value = kind.read(config, problems, None)
    if problems.found:
        raise ConfigErrors(problems.found, where=where)
    return value


def executor(name: Any = None, config_schema: Any = UNSET, requirements: Any = None) -> Any:
    """Make an executor definition of a function ``fn(init_context) -> executor``.

    Args:
        name: not given: the function's name (or the function, when used without parentheses).
        config_schema: the shape of its config.
        requirements: what it needs of a run, as a list or a function of its config.
    """

    def wrap(fn: Callable[..., Any]) -> ExecutorDefinition:
        return ExecutorDefinition(
            check_name(name if isinstance(name, str) else fn.__name__),
            config_schema,
            module=fn.__module__,
            class_name=fn.__qualname__,
            requirements=requirements,
            executor_creation_fn=fn,
            description=fn.__doc__,
        )

    if name is not None and not isinstance(name, str) and not callable(name):
        raise DagsterInvalidDefinitionError("an executor's name is text.", got=type(name).__name__)
    return wrap(name) if callable(name) else wrap
