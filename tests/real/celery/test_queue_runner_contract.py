"""The runner whose attempts stand in queues, by the runners' conformance suite: a real worker takes them, without a broker."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from runplane.engine.snapshot import PlanSnapshot
from runplane.executors.contract import Report, StepOrder
from runplane.executors.queue_runner import Processes, QueueRunner
from runplane.executors.settings import ExecutorContext
from runplane.storage.contract import AttemptRef, RunClaim
from runplane.storage.step_queues import StepQueues
from runplane.testing import StepRunnerContract
from runplane.workers.run import plan_of
from services.queue_workers import QueueSystem


class TestQueueRunner(StepRunnerContract):
    attempts_stand_for_themselves = True
    system: QueueSystem
    run_id: str
    claim: RunClaim

    @pytest.fixture(autouse=True)
    def _coordinated(self, make_queues: Callable[..., QueueSystem]) -> None:
        """A run that this test coordinates, and a worker."""
        self.system = make_queues("database")
        self.system.queue_worker("-q", "work", "-c", "3")
        self.run_id = self.system.create("contract")
        self.claim = self.system.coordinate(self.run_id)
        self.batches = itertools.count(1)

    @pytest.fixture
    def make_runner(self, _coordinated: None) -> Any:
        instance = self.system.instance

        def make(report: Report) -> QueueRunner:
            run = instance.runs.get(self.run_id)
            context = ExecutorContext(
                run, self.plan(), instance.home, instance.logs, lambda: None, instance=instance, epoch=self.claim.epoch
            )
            queues = StepQueues(instance.database, ttl_s=instance.lease_ttl_s)
            return QueueRunner(report, context, queues, None, Processes(), ttl_s=instance.lease_ttl_s)

        return make

    def plan(self) -> PlanSnapshot:
        return plan_of(self.system.instance, self.system.instance.runs.get(self.run_id))

    def order(self, what: str) -> StepOrder:
        ref = AttemptRef(what, 1)
        self.system.issue(self.run_id, self.claim, next(self.batches), what)
        return StepOrder(self.system.instance.runs.get(self.run_id), self.plan().step(what), ref, nonce="")
