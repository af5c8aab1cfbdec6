"""What a run's worker does before it has loaded the rest of itself: it reads the run and its plan. Where the run's steps will be processes of
this machine, it starts the program that these are forked from, so that both load at the same time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ..engine.snapshot import PlanSnapshot
from ..errors import RunplaneError
from ..events.run import Run
from ..executors.processes.started import JOB_PROGRAM, Started
from ..instance.instance import Instance
from ..serdes.record import record

_EXECUTOR = ("runplane.executors.multiprocess", "MultiprocessExecutor")


@record
class Ahead:
    """What is known, and under way, before a run is claimed.

    Attributes:
        run: the run.
        plan: its plan; None: it has none yet, or it can not be read.
        template: the program for its steps; None: its steps need none, or it can not be started now.
    """

    run: Run
    plan: PlanSnapshot | None = None
    template: Started | None = None


@contextmanager
def ahead_of(instance: Instance, run_id: str) -> Iterator[Ahead]:
    """While inside: what a worker of this run has at once. A program that the run did not come to use is gone at the end.

    Raises:
        NotFoundError: no such run. StorageUnavailableError: the database did not answer.
    """
    run = instance.runs.get(run_id)
    plan = _plan_of(instance, run)
    template = _started(run, plan)
    try:
        yield Ahead(run, plan, template)
    finally:
        if template is not None:
            template.discard()


def _plan_of(instance: Instance, run: Run) -> PlanSnapshot | None:
    """What can not be read now is read again when the run is claimed: then it ends the run, with its cause."""
    if run.plan_id is None:
        return None
    with suppress(RunplaneError):
        return instance.journal.get_plan(run.plan_id)
    return None


def _started(run: Run, plan: PlanSnapshot | None) -> Started | None:
    if plan is None or run.status.is_final or (plan.executor.get("module"), plan.executor.get("class")) != _EXECUTOR:
        return None
    with suppress(OSError):
        return Started(JOB_PROGRAM)
    return None
