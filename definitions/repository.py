"""``@repository``: the older form of ``Definitions``, made by a function.

Source: https://docs.dagster.io/api/dagster/repositories
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .definitions_object import Definitions
from .errors import DagsterInvalidDefinitionError
from .executor_definition import ExecutorDefinition
from .job import GraphDefinition, JobDefinition
from .names import check_name


class RepositoryDefinition(Definitions):
    """What a repository function gave, under a name.

    Attributes:
        name: its name.
        description: for people.
    """

    def __init__(self, name: str, description: str | None = None, **parts: Any) -> None:
        super().__init__(**parts)
        self.name = check_name(name)
        self.description = description

    @property
    def job_names(self) -> list[str]:
        """Names of its jobs."""
        return [job.name for job in self.jobs]

    def get_all_jobs(self) -> Sequence[JobDefinition]:
        """Its jobs."""
        return list(self.jobs)

    def get_job(self, name: str) -> JobDefinition:
        """The job called `name`.

        Raises:
            NotFoundError: there is none.
        """
        return self.get_job_def(name)

    def has_job(self, name: str) -> bool:
        """Whether it has a job called `name`."""
        return name in self.job_names


def repository(
    definitions_fn: Callable[[], Any] | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    default_executor_def: ExecutorDefinition | None = None,
    default_logger_defs: Mapping[str, Any] | None = None,
) -> Any:
    """Make a repository of a function that gives a list of definitions, or a mapping of them by kind (``{"jobs": {...}}``).

    Args:
        name: not given: the function's.
        default_executor_def, default_logger_defs: for jobs that have none of their own.

    Raises:
        DagsterInvalidDefinitionError: something in it is no definition.
    """

    def wrap(fn: Callable[[], Any]) -> RepositoryDefinition:
        return RepositoryDefinition(
            name or fn.__name__,
            description or fn.__doc__,
            executor=default_executor_def,
            loggers=default_logger_defs,
            metadata=metadata,
            **_by_kind(name or fn.__name__, fn()),
        )

    return wrap if definitions_fn is None else wrap(definitions_fn)


def _by_kind(name: str, given: Any) -> dict[str, list[Any]]:
    if isinstance(given, Mapping):
        unknown = sorted(set(given) - {"jobs", "assets", "schedules", "sensors"})
        if unknown:
            raise DagsterInvalidDefinitionError(
                f"repository '{name}' has an unknown kind.",
                got=unknown[0],
                expected="jobs, assets, schedules or sensors",
            )
        return {kind: list(_called(parts)) for kind, parts in given.items()}
    jobs = [one for one in given if isinstance(one, (JobDefinition, GraphDefinition))]
    others = [one for one in given if not isinstance(one, (JobDefinition, GraphDefinition))]
    return {"jobs": jobs, "assets": others} if others else {"jobs": jobs}


def _called(parts: Any) -> list[Any]:
    """The definitions of a mapping; functions that make one are called."""
    values = parts.values() if isinstance(parts, Mapping) else parts
    return [v() if callable(v) and not hasattr(v, "name") else v for v in values]
