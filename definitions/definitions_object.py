"""``Definitions``: everything that one code location offers.

Source: https://docs.dagster.io/api/dagster/definitions
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

from ..errors.base import NotFoundError, UnsupportedError
from ..errors.suggest import nearest
from ..events.asset_key import AssetKey
from .asset_port import asset_port
from .errors import DagsterInvalidDefinitionError, DagsterInvariantViolationError
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
        assets: its assets, with the specs and source assets that they are made from.
        asset_checks: its checks of assets.
        schedules, sensors, component_tree: not supported yet; refused unless empty.

    Raises:
        DagsterInvalidDefinitionError: two jobs of one name, or something that is no job; assets that do not fit together.
        UnsupportedError: an argument that is not supported yet.
    """

    def __init__(
        self,
        assets: Iterable[Any] | None = None,
        schedules: Iterable[Any] | None = None,
        sensors: Iterable[Any] | None = None,
        jobs: Iterable[Any] | None = None,
        resources: Mapping[str, Any] | None = None,
        executor: ExecutorDefinition | None = None,
        loggers: Mapping[str, Any] | None = None,
        asset_checks: Iterable[Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        component_tree: Any = None,
    ) -> None:
        later = {
            "schedules": schedules,
            "sensors": sensors,
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
        self.assets = list(assets or ())
        self.asset_checks = list(asset_checks or ())
        self._given_jobs = list({id(given): given for given in jobs or ()}.values())  # one that is given twice is one
        self._jobs: dict[str, JobDefinition] = {}
        for given in self._given_jobs:
            self._add(given)
        if self.assets or self.asset_checks:
            self._add_implicit_job()

    @staticmethod
    def merge(*def_sets: Definitions) -> Definitions:
        """Everything that several ``Definitions`` offer, in one: resources, loggers and the executor of one are those of all.

        Raises:
            DagsterInvariantViolationError: two of them have different resources or loggers under one key, or different executors.
            DagsterInvalidDefinitionError: together they are not right, as when two jobs have one name.
        """
        wrong = next((given for given in def_sets if not isinstance(given, Definitions)), None)
        if wrong is not None:
            raise DagsterInvalidDefinitionError(
                "Definitions.merge(...) was given something else.", got=type(wrong).__name__, expected="Definitions"
            )
        executors = {index: given.executor for index, given in enumerate(def_sets) if given.executor is not None}
        if len({id(executor) for executor in executors.values()}) > 1:
            raise DagsterInvariantViolationError(
                f"Definitions objects {', '.join(map(str, executors))} have different executors.",
                hint="Give the executor to one of them, or to the jobs.",
            )
        return Definitions(
            assets=[asset for given in def_sets for asset in given.assets],
            jobs=[job for given in def_sets for job in given._given_jobs],
            resources=_together("resources", [given.resources for given in def_sets]),
            executor=next(iter(executors.values()), None),
            loggers=_together("loggers", [given.loggers for given in def_sets]),
            asset_checks=[check for given in def_sets for check in given.asset_checks],
            metadata={label: value for given in def_sets for label, value in given.metadata.items()},
        )

    @cached_property
    def _location(self) -> Any:
        """What knows its assets; loaded when it has some, or a job of some."""
        return asset_port().AssetLocation(self.assets, self.asset_checks)

    def _add_implicit_job(self) -> None:
        """The job of all assets, under a name that no list shows."""
        if self._location.has_executable:
            job = self._location.implicit_job(self.resources, self.executor)
            self._jobs[job.name] = job

    def _add(self, given: Any) -> None:
        if isinstance(given, ResolvesToJob):
            self._add(self._location.resolved(given, self.resources, self.executor))
            return
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
        return [job for job in self._jobs.values() if not is_hidden(job.name)]

    def get_job_def(self, name: str) -> JobDefinition:
        """The job called `name`.

        Raises:
            NotFoundError: there is none.
        """
        return find_job(list(self._jobs.values()), name)

    def resolve_job_def(self, name: str) -> JobDefinition:
        """As ``get_job_def``."""
        return self.get_job_def(name)

    def resolve_all_job_defs(self) -> Sequence[JobDefinition]:
        """Its jobs, and the job of all its assets if it has any (``__ASSET_JOB``)."""
        return list(self._jobs.values())

    def get_implicit_global_asset_job_def(self) -> JobDefinition:
        """The job of all its assets.

        Raises:
            NotFoundError: it has none.
        """
        return self.get_job_def(IMPLICIT_ASSET_JOB)

    def resolve_implicit_global_asset_job_def(self) -> JobDefinition:
        """As ``get_implicit_global_asset_job_def``."""
        return self.get_implicit_global_asset_job_def()

    def has_implicit_global_asset_job_def(self) -> bool:
        """Whether it has assets that can be made."""
        return IMPLICIT_ASSET_JOB in self._jobs

    def get_assets_def(self, key: Any) -> Any:
        """The definition that makes an asset.

        Raises:
            DagsterInvariantViolationError: there is none.
        """
        return self._location.assets_def(key)

    def resolve_assets_def(self, key: Any) -> Any:
        """As ``get_assets_def``."""
        return self.get_assets_def(key)

    def get_asset_checks_def(self, key: Any) -> Any:
        """The definition that evaluates a check.

        Raises:
            DagsterInvariantViolationError: there is none.
        """
        return self._location.checks_def(key)

    def resolve_asset_graph(self) -> Any:
        """All its assets and checks as a graph."""
        return self._location.graph

    def resolve_all_asset_specs(self) -> Sequence[Any]:
        """What is said of each of its assets."""
        return self._location.specs if self.assets or self.asset_checks else []

    def resolve_all_asset_keys(self) -> Sequence[AssetKey]:
        """Keys of its assets."""
        return [spec.key for spec in self.resolve_all_asset_specs()]


def _together(what: str, parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The union of what is given under keys; one key may be given twice if it stands for one object."""
    found: dict[str, Any] = {}
    first: dict[str, int] = {}
    for index, part in enumerate(parts):
        for key, value in part.items():
            if found.setdefault(key, value) is not value:
                raise DagsterInvariantViolationError(
                    f"Definitions objects {first[key]} and {index} have different {what} with same key '{key}'.",
                    hint="Name one object in both, or use another key.",
                )
            first.setdefault(key, index)
    return found


IMPLICIT_ASSET_JOB = "__ASSET_JOB"


@runtime_checkable
class ResolvesToJob(Protocol):
    """A job that is known when the assets are: what ``define_asset_job`` gives."""

    selection: Any

    def resolve(
        self,
        *,
        asset_graph: Any,
        resource_defs: Mapping[str, Any] | None = None,
        default_executor_def: ExecutorDefinition | None = None,
    ) -> JobDefinition:
        """The job."""


def is_hidden(name: str) -> bool:
    """Whether a job is one that nobody wrote, which lists leave out."""
    return name.startswith("__")


def find_job(jobs: Sequence[JobDefinition], name: str) -> JobDefinition:
    """The job called `name` of several.

    Raises:
        NotFoundError: there is none; the text names those that are there.
    """
    by_name = {job.name: job for job in jobs}
    if name in by_name:
        return by_name[name]
    shown = sorted(n for n in by_name if not is_hidden(n))
    found = ", ".join(f"'{n}'" for n in shown) or "no job at all"
    raise NotFoundError(f"Could not find job '{name}'. Found: {found}.", nearest=nearest(name, shown))
