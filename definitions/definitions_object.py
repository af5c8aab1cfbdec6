"""``Definitions``: everything that one code location offers.

Source: https://docs.dagster.io/api/dagster/definitions
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors.base import NotFoundError, UnsupportedError
from ..errors.suggest import nearest
from .errors import DagsterInvalidDefinitionError
from .executor_definition import ExecutorDefinition
from .job import GraphDefinition, JobDefinition


class Definitions:
    """The jobs of a code location, with the resources and the executor of those that have none of their own.

    Args:
        jobs: its jobs.
        resources: resources or their definitions, by key.
        executor: for jobs that name none.
        loggers: for jobs that have none of their own, by the key that run config chooses them by.
        metadata: kept.
        assets, schedules, sensors, asset_checks, component_tree: not supported yet; refused unless empty.

    Raises:
        DagsterInvalidDefinitionError: two jobs of one name, or something that is no job.
        UnsupportedError: an argument that is not supported yet.
    """

    def __init__(
        self,
        assets: Iterable[Any] | None = None,
        schedules: Iterable[Any] | None = None,
        sensors: Iterable[Any] | None = None,
        jobs: Iterable[JobDefinition | GraphDefinition] | None = None,
        resources: Mapping[str, Any] | None = None,
        executor: ExecutorDefinition | None = None,
        loggers: Mapping[str, Any] | None = None,
        asset_checks: Iterable[Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        component_tree: Any = None,
    ) -> None:
        later = {
            "assets": assets,
            "schedules": schedules,
            "sensors": sensors,
            "asset_checks": asset_checks,
            "component_tree": component_tree,
        }
        for name, given in later.items():
            if given:
                raise UnsupportedError(
                    f"Definitions({name}=...) is not supported in this version.", hint="Leave it out."
                )
        self.resources = dict(resources or {})
        self.executor = executor
        self.loggers = dict(loggers or {})
        self.metadata = dict(metadata or {})
        self._jobs: dict[str, JobDefinition] = {}
        for given in jobs or ():
            self._add(given)

    def _add(self, given: Any) -> None:
        job = given.to_job() if isinstance(given, GraphDefinition) else given
        if not isinstance(job, JobDefinition):
            raise DagsterInvalidDefinitionError(
                "Definitions(jobs=...) holds something that is no job.", got=type(given).__name__, expected="jobs"
            )
        if job.name in self._jobs:
            raise DagsterInvalidDefinitionError(f"Definitions has two jobs called '{job.name}'.")
        job = job.with_top_level_resources(self.resources)
        if self.executor is not None and job.given_executor is None:
            job = job.with_executor_def(self.executor)
        if self.loggers and not job.logger_defs:
            job = job.with_logger_defs(self.loggers)
        self._jobs[job.name] = job

    @property
    def jobs(self) -> Sequence[JobDefinition]:
        """Its jobs, with resources and executor put in."""
        return list(self._jobs.values())

    def get_job_def(self, name: str) -> JobDefinition:
        """The job called `name`.

        Raises:
            NotFoundError: there is none.
        """
        return find_job(self.jobs, name)

    def resolve_job_def(self, name: str) -> JobDefinition:
        """As ``get_job_def``."""
        return self.get_job_def(name)

    def resolve_all_job_defs(self) -> Sequence[JobDefinition]:
        """As ``jobs``."""
        return self.jobs


def find_job(jobs: Sequence[JobDefinition], name: str) -> JobDefinition:
    """The job called `name` of several.

    Raises:
        NotFoundError: there is none; the text names those that are there.
    """
    by_name = {job.name: job for job in jobs}
    if name in by_name:
        return by_name[name]
    found = ", ".join(f"'{n}'" for n in sorted(by_name)) or "no job at all"
    raise NotFoundError(f"Could not find job '{name}'. Found: {found}.", nearest=nearest(name, by_name))
