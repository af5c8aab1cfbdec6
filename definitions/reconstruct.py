"""Jobs that another process can load again: a job with the pointer to its code.

Source: https://docs.dagster.io/api/dagster/execution (reconstructable, build_reconstructable_job)
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from ..events.origin import CodePointer, CustomPointer, FileCodePointer, JobOrigin, ModuleCodePointer, RepositoryOrigin
from ..serdes.record import frozen_record
from .code_loading import jobs_of, load_target
from .definitions_object import find_job
from .errors import DagsterInvariantViolationError
from .job import GraphDefinition, JobDefinition


@frozen_record
class ReconstructableJob:
    """Where a job's code is.

    Attributes:
        pointer: what to load.
        job_name: which of its jobs; None: the only one.
    """

    pointer: CodePointer
    job_name: str | None = None

    def get_definition(self) -> JobDefinition:
        """The job, its code loaded.

        Raises:
            NotFoundError, CodeLoadError: as ``load_job``.
        """
        jobs = jobs_of(load_target(self.pointer), "the code pointer of a job")
        return jobs[0] if self.job_name is None else find_job(jobs, self.job_name)

    def get_python_origin(self) -> JobOrigin:
        """Where another process finds the job."""
        name = self.job_name or self.get_definition().name
        return JobOrigin(name, RepositoryOrigin(sys.executable, self.pointer))


def reconstructable(target: Any) -> ReconstructableJob:
    """The pointer to a job, or to a function that gives one, which another process can load.

    Raises:
        DagsterInvariantViolationError: it was not made at the top of a module or file.
    """
    if not isinstance(target, (JobDefinition, GraphDefinition)) and not inspect.isfunction(target):
        raise DagsterInvariantViolationError(
            "Reconstructable target should be a function or definition produced by a decorated function.",
            got=f"type: {type(target).__name__}",
        )
    fn: Callable[..., Any] = target if inspect.isfunction(target) else _body(target)
    name = fn.__qualname__
    if "<lambda>" in name or "<locals>" in name or name != name.split(".")[-1]:
        raise DagsterInvariantViolationError(
            "Reconstructable target can not be found again by another process.",
            got=name,
            expected="a job made of a function at the top of a module",
        )
    job_name = None if inspect.isfunction(target) else target.name
    if fn.__module__ == "__main__":
        file = os.path.abspath(inspect.getfile(fn))
        return ReconstructableJob(FileCodePointer(file, name, os.getcwd()), job_name)
    return ReconstructableJob(ModuleCodePointer(fn.__module__, name, os.getcwd()), job_name)


def build_reconstructable_job(
    reconstructor_module_name: str,
    reconstructor_function_name: str,
    reconstructable_args: tuple[Any, ...] | None = None,
    reconstructable_kwargs: Mapping[str, Any] | None = None,
    reconstructor_working_directory: str | None = None,
) -> ReconstructableJob:
    """The pointer to a job that a function makes of arguments.

    Args:
        reconstructor_module_name, reconstructor_function_name: where the function is.
        reconstructable_args, reconstructable_kwargs: its arguments; JSON values.
        reconstructor_working_directory: put on the Python path of who loads it; not given: the current one.
    """
    folder = reconstructor_working_directory or os.getcwd()
    return ReconstructableJob(
        CustomPointer(
            ModuleCodePointer(reconstructor_module_name, reconstructor_function_name, folder),
            tuple(reconstructable_args or ()),
            tuple((reconstructable_kwargs or {}).items()),
        )
    )


def _body(target: JobDefinition | GraphDefinition) -> Callable[..., Any]:
    graph = target.graph if isinstance(target, JobDefinition) else target
    body = getattr(graph, "__wrapped__", None)
    if body is None:
        raise DagsterInvariantViolationError(
            f"'{target.name}' was not made by @job or @graph.", expected="a decorated function"
        )
    made: Callable[..., Any] = body
    return made
