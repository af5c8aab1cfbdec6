"""What a worker of queues does with pods that it did not start, or that are another's by now."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runplane.engine.snapshot import StepPlan
from runplane.events.event import NewEvent
from runplane.events.kinds import EventKind
from runplane.executors.contract import StepOrder
from runplane.instance.instance import Instance
from runplane.instance.load import from_yaml
from runplane.kube.client import KubeClient
from runplane.storage.contract import AttemptRef, Claimed, Issue, Owner, Seal
from runplane.storage.dialect import Statement
from runplane.storage.step_queues import StepQueues, Taken
from runplane.testing.fake_cluster import FakeCluster, FakePod
from runplane.testing.fake_cluster.pods import Script, runs
from services.bare_pods import RUN, BarePods
from services.thread_worker import ThreadWorker

GONE = Owner("gone", "its host", "boot", 1, 1)


class Room:
    """A run with one step in a queue of one slot, and a worker that took it and is gone."""

    def __init__(self, folder: Path, cluster: FakeCluster, client: KubeClient) -> None:
        self.cluster, self.client = cluster, client
        self.folder = folder
        self.instance = Instance(from_yaml("", folder, {}), {"RUNPLANE_LEASE_TTL": "1"})
        self.queues = StepQueues(self.instance.database, ttl_s=1.0)
        self.instance.journal.create(RUN)
        claim = self.instance.journal.claim_run(
            RUN.run_id, Owner("c", "host", "boot", 1, 1), [], self.event("RUN_START")
        )
        assert claim is not None
        self._epoch = claim.epoch
        self._batches = itertools.count(1)
        self._workers: list[ThreadWorker] = []

    def event(self, kind: str, step: str | None = None) -> NewEvent:
        return NewEvent(EventKind(kind), step, 1 if step else None, {}, time.time())

    def queued(self, step: str, wait_timeout_s: float = 0.0) -> AttemptRef:
        """An attempt in its queue. `wait_timeout_s`: ``job_wait_timeout``."""
        ref = AttemptRef(step, 1)
        self.instance.journal.commit(RUN.run_id, self._epoch, next(self._batches), [Issue(ref)])
        body = BarePods(self.instance.instance_id).body(StepOrder(RUN, StepPlan(step, step, step), ref), self._epoch)
        self.queues.put(RUN.run_id, ref, "dagster", 0, {**body, "wait_timeout_s": wait_timeout_s}, apart=True)
        return ref

    def taken_by_one_who_is_gone(self, step: str, wait_timeout_s: float = 0.0) -> AttemptRef:
        """It took it, and may have made a Job or not."""
        ref = self.queued(step, wait_timeout_s)
        self.queues.beat(GONE, ["dagster"], 9, {})
        assert isinstance(self.queues.take(RUN.run_id, ref, "dagster", GONE.worker_id, step), Taken)
        self.queues.leave(GONE.worker_id)
        return ref

    def is_taken_for(self, ref: AttemptRef, seconds: float) -> None:
        """As if it had been taken so much earlier."""
        sql = self.instance.journal.rules.named("UPDATE {queued_step} SET taken = taken - :seconds WHERE step = :step")
        self.instance.database.transact([Statement(sql, {"seconds": seconds, "step": ref.step})])

    def makes_job(self, ref: AttemptRef) -> FakePod:
        """What the one who is gone had done before."""
        body = BarePods(self.instance.instance_id).body(StepOrder(RUN, StepPlan("", "", ref.step), ref), self._epoch)
        self.client.create_job("default", body["manifest"])
        return self.pod(ref)

    def pod(self, ref: AttemptRef) -> FakePod:
        """The pod of an attempt, when it runs."""

        def names() -> list[str]:
            """Of pods that run: the cluster's own thread knows those too."""
            return [
                p["metadata"]["name"]
                for p in self.cluster.all_pods()
                if p["metadata"]["annotations"]["runplane/step-key"] == ref.step
                and p["status"].get("phase") == "Running"
            ]

        self.cluster.wait_for(f"the pod of {ref.step}", lambda: bool(names()), 90)
        return self.cluster.pod_of(names()[0])

    def claims(self, ref: AttemptRef) -> Claimed:
        """What the pod's process does first."""
        claimed = self.instance.journal.claim(RUN.run_id, ref, "pod", self.event("STEP_WORKER_STARTED", ref.step))
        assert isinstance(claimed, Claimed)
        return claimed

    def seals(self, ref: AttemptRef) -> None:
        """Its coordinator gives it up."""
        self.instance.journal.commit(RUN.run_id, self._epoch, next(self._batches), [Seal(ref, "LOST", "gone")])

    def worker(self, slots: int = 1, *, sees: bool = True) -> ThreadWorker:
        """One more worker, which sees the cluster or not."""
        file = self.cluster.kubeconfig(self.folder) if sees else None
        self._workers.append(ThreadWorker(self.instance.sibling(), file, slots=slots))
        return self._workers[-1]

    def ended(self, ref: AttemptRef) -> dict[str, Any] | None:
        """What is said of the attempt's end."""
        row = next((one for one in self.queues.of_run(RUN.run_id) if one.ref == ref), None)
        return None if row is None or row.ended is None else dict(row.ended)

    def wait_for(self, what: str, is_so: Callable[[], object], seconds: float = 90.0) -> None:
        """Wait for a named moment."""
        end = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < end, what
            time.sleep(0.01)

    def close(self) -> None:
        for worker in self._workers:
            worker.close()
        self.instance.close()


@pytest.fixture
def room(tmp_path: Path, cluster: FakeCluster, client: KubeClient) -> Iterator[Room]:
    cluster.program = lambda _: Script(runs)
    made = Room(tmp_path, cluster, client)
    yield made
    made.close()


def test_pods_of_a_worker_that_is_gone_are_adopted_before_anything_is_taken(room: Room) -> None:
    orphan = room.taken_by_one_who_is_gone("orphan")
    pod = room.makes_job(orphan)
    room.claims(orphan)
    waits = room.queued("waits")

    heir = room.worker(slots=1)
    room.wait_for("nobody watches the pod", lambda: heir.worker.state()["pods"] == 1, 45)

    assert len(room.cluster.all_pods()) == 1, "it took another one beyond its slot"
    pod.exited(137, "OOMKilled")
    room.wait_for("its end was not told", lambda: room.ended(orphan))
    assert room.ended(orphan) == {"cause": "OUT_OF_MEMORY", "text": room.ended(orphan)["text"]}  # type: ignore[index]
    room.pod(waits)


def test_what_was_taken_and_never_made_is_made_by_the_heir(room: Room) -> None:
    orphan = room.taken_by_one_who_is_gone("orphan")

    room.worker()

    room.pod(orphan).exited(0)
    room.wait_for("its end was not told", lambda: room.ended(orphan))


def test_what_has_begun_and_is_not_there_is_gone_and_not_made_again(room: Room) -> None:
    orphan = room.taken_by_one_who_is_gone("orphan")
    room.claims(orphan)

    room.worker()

    room.wait_for("its end was not told", lambda: room.ended(orphan))
    assert room.cluster.all_jobs() == []


def test_the_pod_of_an_attempt_that_was_given_up_is_deleted_by_the_heir(room: Room) -> None:
    orphan = room.taken_by_one_who_is_gone("orphan")
    room.makes_job(orphan)
    room.claims(orphan)
    room.seals(orphan)

    room.worker()

    room.wait_for("the Job stays", lambda: room.cluster.all_jobs() == [])
    room.wait_for("the row stays", lambda: room.queues.of_run(RUN.run_id) == [])


def test_a_worker_that_was_out_of_touch_lets_go_of_what_another_has_adopted(room: Room) -> None:
    room.queued("a")
    first = room.worker()
    pod = room.pod(AttemptRef("a", 1))
    room.wait_for("it is not held", lambda: first.worker.state()["pods"] == 1)

    # As if it had not been heard of for so long that another one took its pods.
    adopted_by = "another"
    room.queues.beat(Owner(adopted_by, "its host", "boot", 1, 1), ["dagster"], 1, {})
    text = room.instance.journal.rules.named("UPDATE {queued_step} SET watcher = :me")
    room.instance.database.transact([Statement(text, {"me": adopted_by})])
    first.worker._was_away = True
    beats = lambda: room.queues.beat(Owner(adopted_by, "its host", "boot", 1, 1), ["dagster"], 1, {})

    room.wait_for("it is held by two", lambda: (beats(), first.worker.state()["pods"] == 0)[1])
    assert len(room.cluster.all_jobs()) == 1, "it deleted what another one watches"
    assert not pod.is_over
    room.queues.leave(adopted_by)
    room.wait_for("it is not adopted back", lambda: first.worker.state()["pods"] == 1)


def test_who_has_no_way_to_the_cluster_leaves_pods_to_others(room: Room) -> None:
    orphan = room.taken_by_one_who_is_gone("orphan")
    pod = room.makes_job(orphan)
    room.claims(orphan)
    blind = room.worker(sees=False)

    room.wait_for("it said nothing", lambda: any("can not be watched from here" in text for text in blind.said))

    assert room.ended(orphan) is None, "what it can not see it called gone"
    heir = room.worker()
    room.wait_for("nobody watches the pod", lambda: heir.worker.state()["pods"] == 1, 45)
    pod.exited(0)
    room.wait_for("its end was not told", lambda: room.ended(orphan))


def test_a_pod_that_takes_longer_than_job_wait_timeout_is_ended(room: Room) -> None:
    slow = room.queued("slow", wait_timeout_s=0.5)

    room.worker()

    room.wait_for("its end was not told", lambda: room.ended(slow))
    told = room.ended(slow)
    assert told is not None
    assert told["cause"] == "TIMED_OUT"
    assert "its worker waited for it for 0.5 s (job_wait_timeout): " in told["text"]
    assert room.cluster.all_jobs() == []


def test_what_the_one_who_is_gone_waited_counts(room: Room) -> None:
    slow = room.taken_by_one_who_is_gone("slow", wait_timeout_s=600.0)
    room.makes_job(slow)
    room.claims(slow)
    room.is_taken_for(slow, 601.0)

    room.worker()

    room.wait_for("its end was not told", lambda: room.ended(slow))
    told = room.ended(slow)
    assert told is not None
    assert told["cause"] == "TIMED_OUT"
