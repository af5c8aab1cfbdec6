"""Workers of other versions on the queues of one run: what they can not serve they leave to others."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runplane.events.kinds import EventKind as K
from runplane.events.status import RunStatus
from runplane.testing.fake_cluster import FakeCluster
from services.pod_queues import PodProcesses, PodQueues
from services.queue_workers import QueueSystem
from services.redis_server import RedisServer

END_S = 120.0
FOUR = {f"work_{i}": 1 for i in range(4)}


def done_at_once(queues: QueueSystem, run_id: str) -> None:
    """Each body began and ended once, and nothing was refused or given up on the way."""
    assert queues.status(run_id) is RunStatus.SUCCESS, queues.story(run_id)
    queues.check(run_id)
    assert queues.completed(run_id) == FOUR
    assert len(queues.bodies(run_id, "start")) == 4
    assert queues.kinds(run_id)[K.STEP_SEALED] == 0, queues.story(run_id)


def test_hints_that_a_worker_can_not_serve_go_back_and_are_served_by_one_that_can(
    make_queues: Callable[..., QueueSystem], redis_broker: RedisServer
) -> None:
    queues = make_queues(redis_broker.url)
    older = queues.queue_worker("-q", "work", "-c", "4", level="0.9")
    newer = queues.queue_worker("-q", "work", "-c", "4", level="2.0")
    run_id = queues.create("four")
    coordinator = queues.worker(run_id)

    def said() -> bool:
        return any(
            "No worker of protocol 1.0 listens to queue work, only of 0.9 and 2.0" in str(e.body.get("message"))
            for e in queues.events(run_id)
        )

    queues.wait_for("that the queue has workers of other versions only", said, 60)
    [shown] = json.loads(queues.cli("run", "show", run_id, "--json").stdout)["step_queues"]
    in_words = queues.cli("run", "show", run_id).stdout
    looks = [queues.state(one)["answers"] for one in (older, newer)]
    minor = queues.queue_worker("-q", "work", "-c", "4", level="1.7")

    assert coordinator.wait(END_S) == 0
    done_at_once(queues, run_id)
    assert all(set(one) == {"other_level"} and one["other_level"] <= 40 for one in looks), looks
    assert (shown["has_workers"], shown["worker_levels"]) == (False, ["0.9", "2.0"])
    assert "waiting. No worker of protocol 1.0 listens to queue work, only of 0.9 and 2.0: runplane celery" in in_words
    queues.wait_for("the worker's own count", lambda: queues.state(minor)["answers"].get("taken") == 4)


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    pods = PodProcesses()
    with FakeCluster(lambda _: pods) as made:
        yield made
        assert made.errors == []
    pods.close()


def test_pods_of_another_version_are_not_adopted(tmp_path: Path, cluster: FakeCluster) -> None:
    queues = PodQueues(tmp_path, "database", cluster)
    try:
        newer = queues.queue_worker("-q", "work", "-c", "4", level="2.0")
        doomed = queues.queue_worker("-q", "work", "-c", "4", level="1.7")
        run_id = queues.create("four_held")
        coordinator = queues.worker(run_id)
        queues.wait_for("four bodies", lambda: len(queues.bodies(run_id, "start")) == 4, 60)

        doomed.kill()
        doomed.wait()
        heir = queues.queue_worker("-q", "work", "-c", "1", level="1.2")

        queues.wait_for("the adoption", lambda: queues.state(heir)["pods"] == 4, 60)
        queues.open_gate()
        assert coordinator.wait(END_S) == 0
        done_at_once(queues, run_id)
        assert queues.state(newer)["answers"] == {}, "without a broker it is not even shown what it can not serve"
    finally:
        queues.close()
