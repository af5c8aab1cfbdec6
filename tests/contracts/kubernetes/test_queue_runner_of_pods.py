"""The runner of steps in queues, whose steps are pods: its conformance suite, with a worker in a thread and a cluster in memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runplane.engine.snapshot import StepPlan
from runplane.events.event import NewEvent
from runplane.events.kinds import EventKind
from runplane.executors.contract import Report, StepOrder
from runplane.executors.queue_runner import QueueRunner
from runplane.instance.instance import Instance
from runplane.instance.load import from_yaml
from runplane.storage.contract import Accepted, AttemptRef, Issue, Owner
from runplane.storage.step_queues import StepQueues
from runplane.testing import StepRunnerContract
from runplane.testing.fake_cluster import FakeCluster, FakePod
from runplane.testing.fake_cluster.pods import Script, runs
from services.bare_pods import RUN, BarePods
from services.thread_worker import ThreadWorker

STEPS = ("succeeds", "hangs", "dies")


class TestQueueRunnerOfPods(StepRunnerContract):
    attempts_stand_for_themselves = True

    @pytest.fixture
    def instance(self, tmp_path: Path) -> Iterator[Instance]:
        with Instance(from_yaml("", tmp_path, {}), {"RUNPLANE_LEASE_TTL": "5"}) as made:
            yield made

    @pytest.fixture
    def make_runner(self, instance: Instance, cluster: FakeCluster, tmp_path: Path) -> Iterator[Any]:
        def does(pod: FakePod) -> None:
            runs(pod)
            step = pod.annotations["runplane/step-key"]
            if step != "hangs":
                pod.exited(0 if step == "succeeds" else 3)

        cluster.program = lambda pod: Script(does)
        instance.journal.create(RUN)
        event = NewEvent(EventKind.RUN_START, None, None, {}, 0.0)
        claim = instance.journal.claim_run(RUN.run_id, Owner("c", "host", "boot", 1, 1), [], event)
        assert claim is not None
        batches = itertools.count(1)
        for step in STEPS:
            done = instance.journal.commit(RUN.run_id, claim.epoch, next(batches), [Issue(AttemptRef(step, 1))])
            assert isinstance(done.results[0], Accepted)
        worker = ThreadWorker(instance.sibling(), cluster.kubeconfig(tmp_path))

        def make(report: Report) -> QueueRunner:
            queues = StepQueues(instance.database, ttl_s=instance.lease_ttl_s)
            context: Any = SimpleNamespace(run=RUN, instance=instance, epoch=claim.epoch)
            return QueueRunner(report, context, queues, None, BarePods(instance.instance_id), ttl_s=5.0)

        yield make
        worker.close()

    def order(self, what: str) -> StepOrder:
        return StepOrder(RUN, StepPlan(what, what, what), AttemptRef(what, 1))
