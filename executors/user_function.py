"""A user's ``@executor``: the function is found by the plan's pointer, called, and what it returns is checked.

Source: https://docs.dagster.io/api/dagster/execution (executor, InitExecutorContext).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields
from typing import Any

from ..definitions.code_loading import CodeLoadError as ImportFailed
from ..definitions.code_loading import attribute_beside
from ..definitions.executor_definition import ExecutorDefinition
from ..definitions.executor_definition import executor as define
from ..definitions.user_errors import error_info
from ..errors import RunplaneError
from ..events.causes import ErrorInfo
from ..serdes.record import record
from .failure import CodeLoadError
from .settings import Executor, ExecutorContext

_MEMBERS = ("settings", "prepare", "make_runner")


@record
class InitExecutorContext(ExecutorContext):
    """What an ``@executor`` function is given: Dagster's four attributes, and all that our executors are made with, so that a
    function may return ``MultiprocessExecutor.from_config({...}, init_context)``.

    Attributes:
        executor_def: the definition that the function was made into.
        executor_config: the run's config for it, checked, with defaults.
    """

    executor_def: Any = None
    executor_config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def job(self) -> Any:
        """The job's definition; asking for it imports the user's code into this process."""
        return self.load_job()


class ExecutorFunctionError(RunplaneError):
    """What a user's ``@executor`` function raised. `error` has the user's own frames."""

    def __init__(self, name: str, error: ErrorInfo) -> None:
        self.error = error
        super().__init__(f"the function of executor {name!r} failed: {error.message.strip()}")


def executor_of_function(spec: Mapping[str, Any], context: ExecutorContext) -> Executor:
    """The executor that the function named by a plan makes.

    Args:
        spec: the plan's executor: ``name``, ``module``, ``class`` (the function's name there), ``config``.

    Raises:
        NotFoundError: no such module or function.
        CodeLoadError: the function's module fails when it is imported.
        ExecutorFunctionError: the function raised.
        RunplaneError: it returned something that is no executor.
    """
    name = str(spec.get("name"))
    where = f"executor {name!r} of job {context.plan.job_name!r}"
    definition = _definition(spec, context, where)
    given = {f.name: getattr(context, f.name) for f in fields(context)}
    init = InitExecutorContext(**given, executor_def=definition, executor_config=spec.get("config") or {})
    try:
        made: Any = definition.executor_creation_fn(init) if definition.executor_creation_fn else None
    except CodeLoadError:
        raise  # it asked for the job
    except Exception as error:
        raise ExecutorFunctionError(name, error_info(error)) from error
    missing = [member for member in _MEMBERS if not hasattr(made, member)]
    if missing:
        raise RunplaneError(
            f"the function {spec['class']!r} did not return an executor",
            where=where,
            got=f"an object of type {type(made).__name__}, with no {', no '.join(missing)}",
            expected="settings, prepare() and make_runner(report)",
            hint="docs/howto/write-an-executor.md makes one.",
        )
    executor: Executor = made
    return executor


def _definition(spec: Mapping[str, Any], context: ExecutorContext, where: str) -> ExecutorDefinition:
    origin = context.run.origin
    pointer = origin.repository_origin.code_pointer if origin else None
    try:
        found = attribute_beside(pointer, spec["module"], spec["class"])
    except ImportFailed as error:
        raise CodeLoadError.from_exception(error) from error
    if isinstance(found, ExecutorDefinition) and found.executor_creation_fn is not None:
        return found
    if callable(found) and not isinstance(found, ExecutorDefinition):
        # ``threads = executor(name="threads")(make_threads)``: the function's own name still means the function.
        made: ExecutorDefinition = define(name=spec.get("name"))(found)
        return made
    raise RunplaneError(
        f"{spec['class']!r} of the module {spec['module']!r} is not a function that makes an executor",
        where=where,
        got=type(found).__name__,
        expected="a function at the top of a module, under @executor",
    )
