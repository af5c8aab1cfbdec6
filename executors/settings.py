"""What an executor's config says to the driver, and what an executor is made with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ..engine.limits import Limits, TagLimit
from ..engine.snapshot import PlanSnapshot, starts_early
from ..events.run import Run
from ..serdes.record import record
from ..storage.compute_logs import ComputeLogStore
from .contract import RunnerSignal, StepRunner
from .database_values import DatabaseValues
from .log_settings import LogSettings
from .processes.started import Started
from .values import NoValues, ValueReader


@record
class DriverSettings:
    """What a run's executor config says to the driver.

    Attributes:
        limits: how many steps at once.
        retries_enabled: whether failed attempts are run again.
        eager: start steps as soon as their inputs exist.
        grace_s: seconds between asking an attempt to stop and ending it.
        drain_s: seconds that running steps get when this process is told to leave.
    """

    limits: Limits = field(default_factory=Limits)
    retries_enabled: bool = True
    eager: bool = False
    grace_s: float = 30.0
    drain_s: float = 5.0


@record
class ExecutorContext:
    """What every executor is made with.

    Attributes:
        run: the run; its origin says where the code is.
        plan: its plan.
        home: root of the instance's local artifacts (step outputs below ``storage/``).
        logs: where what the steps print is kept.
        load_job: loads the job's definition into this process; only an executor that runs user code here calls it.
        instance: the instance that user code sees, or None.
        log_settings: the instance's ``python_logs``, for the processes that run user code.
        owns_process: this process is the run's worker and nobody else's: what it prints belongs to the run.
        epoch: of the coordinator that drives the run, for what it starts.
        template: a process that was started ahead for the steps of this run, or None.
    """

    run: Run
    plan: PlanSnapshot
    home: Path
    logs: ComputeLogStore
    load_job: Callable[[], Any]
    instance: Any = None
    log_settings: LogSettings = field(default_factory=LogSettings)
    owns_process: bool = False
    epoch: int = 0
    template: Started | None = None


def values_of(context: ExecutorContext) -> ValueReader:
    """Reads the values that the run's database keeps."""
    if context.instance is None:
        return NoValues()
    return DatabaseValues(
        context.instance.journal.values, early=starts_early(context.plan.executor.get("config") or {})
    )


class Executor(Protocol):
    """A way to run the steps of a run. Made by ``from_config(config, context)``."""

    settings: DriverSettings

    def prepare(self) -> None:
        """Get ready before the first step: import the code where it will run. Raises ``CodeLoadError`` when it can not be."""

    def make_runner(self, report: Callable[[RunnerSignal], None]) -> StepRunner:
        """The step runner that reports to `report`."""


@runtime_checkable
class MakesPods(Protocol):
    """An executor whose steps are pods of their own: it reads and writes no outputs itself."""

    def pods_share_storage(self) -> bool:
        """Whether these pods share the folder that outputs are kept in by default. Raises ConfigErrors: there can be no such pod."""


def driver_settings(config: Mapping[str, Any], *, max_concurrent: int | None) -> DriverSettings:
    """The settings that the shared keys of executor configs stand for.

    Args:
        config: validated config with defaults: ``retries``, ``tag_concurrency_limits``, ``step_dependency_config``.
        max_concurrent: how many steps at once; None for as many as there are.
    """
    return DriverSettings(
        limits=Limits(max_concurrent, _tag_limits(config.get("tag_concurrency_limits") or ())),
        retries_enabled="disabled" not in (config.get("retries") or {}),
        eager=starts_early(config),
    )


def _tag_limits(limits: Sequence[Mapping[str, Any]]) -> tuple[TagLimit, ...]:
    found = []
    for limit in limits:
        value = limit.get("value")
        per_value = isinstance(value, Mapping)
        found.append(TagLimit(limit["key"], int(limit["limit"]), None if per_value else value, per_value))
    return tuple(found)
