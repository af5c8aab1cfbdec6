"""Everything that one attempt of one step needs to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from ..definitions.job import JobDefinition
from ..definitions.run_config import ResolvedRunConfig
from ..engine.snapshot import StepPlan, StoredOutput
from ..events.run import Run
from ..serdes.record import record
from .log_settings import LogSettings
from .resource_scope import ResourceScope
from .values import NoValues, ValueReader


def _always_current() -> None:
    """For attempts that nobody can take over: steps in the run's own process."""


@record
class StepRequest:
    """One attempt of one step.

    Attributes:
        job: the job, with its user code.
        run: the run.
        step: the step's plan (for a mapped step, its template).
        step_key: the step's own key (``work[3]``).
        n: number of the attempt, from 1; lost attempts count.
        home: the instance's folder; outputs are kept under ``<home>/storage`` by default.
        retry_number: how often user code or a retry policy had the step run again before.
        retries_enabled: whether this attempt may ask for another.
        inputs: for each connected input, the stored outputs it is made from, in order.
        ensure_current: returns if the attempt still has the right to write; raises FencedError otherwise.
        scope: resources shared by all steps of the run; None: this step opens and closes its own.
        config: the run's config where it has been read for all steps already; None: this step reads it.
        instance: the instance that user code sees; None where there is none in the process.
        log_settings: the instance's ``python_logs``; its level is over the one in run config.
        values: reads values that the database of runs keeps.
        raised: is told the exception that user code raised (a run in one process raises it again).
    """

    job: JobDefinition
    run: Run
    step: StepPlan
    step_key: str
    n: int
    home: Path
    retry_number: int = 0
    retries_enabled: bool = True
    inputs: Mapping[str, Sequence[StoredOutput]] = field(default_factory=dict)
    ensure_current: Callable[[], None] = _always_current
    scope: ResourceScope | None = None
    config: ResolvedRunConfig | None = None
    instance: Any = None
    log_settings: LogSettings = field(default_factory=LogSettings)
    values: ValueReader = field(default_factory=NoValues)
    raised: Callable[[BaseException], None] | None = None
