"""Runs wait in a queue; the daemon starts them when the limits allow it (Dagster's ``QueuedRunCoordinator``).

Source: https://docs.dagster.io/deployment/execution/run-coordinators
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from ..engine.snapshot import PlanSnapshot
from ..events.event import NewEvent
from ..events.kinds import EventKind
from ..events.run import Run
from ..events.status import RunStatus
from ..storage.dialect import Statement
from ..storage.journal import Journal
from ..storage.queue import Queue
from ..storage.runs import Runs
from .picking import priority_of


class QueuedRunCoordinator:
    """Puts runs into the queue.

    Args:
        journal, runs: where runs are stored.
    """

    def __init__(self, journal: Journal, runs: Runs) -> None:
        self._journal = journal
        self._runs = runs
        self._queue = Queue(journal)

    def submit(self, run: Run) -> Run:
        """Enqueue a run that is stored and NOT_STARTED; return it as it is then.

        Raises:
            ConflictError: it was submitted before.
        """
        plan = self._journal.get_plan(run.plan_id) if run.plan_id is not None else None
        self._enqueue(run, plan, None, is_stored=True)
        return self._runs.get(run.run_id)

    def submit_new(self, run: Run, plan: PlanSnapshot | None) -> Run:
        """Store a run and its plan and enqueue it, in one transaction and one round trip; return it as it is then.

        Raises:
            ConflictError: its id is another run's.
        """
        storing = None
        if plan is not None:
            plan_id, storing = self._journal.storing_plan(plan)
            run = replace(run, plan_id=plan_id)
        self._enqueue(run, plan, storing, is_stored=False)
        return replace(run, status=RunStatus.QUEUED)

    def _enqueue(self, run: Run, plan: PlanSnapshot | None, storing_plan: Statement | None, *, is_stored: bool) -> None:
        event = NewEvent(EventKind.RUN_ENQUEUED, None, None, {}, time.time())
        pools = first_pools(plan) if plan is not None else None
        self._queue.enqueue(
            run, event, priority=priority_of(run.tags), pools=pools, is_stored=is_stored, plan=storing_plan
        )


def first_pools(plan: PlanSnapshot) -> Mapping[str, int] | None:
    """How many of a plan's first steps need a slot of which pool; None when one of them needs none, so that the run has something to
    do at once."""
    known = {(output.step, output.output) for output in plan.known_outputs}
    count: Counter[str] = Counter()
    for step in plan.steps:
        sources = [source for given in step.inputs for source in given.sources]
        if step.mapped_over is not None or any((s.step, s.output) not in known for s in sources):
            continue
        if not step.pools:
            return None
        count.update(step.pools)
    return dict(count) or None
