"""What a real Redis may do in the middle of a run: forget, deliver again after a second, while workers are killed."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable

import pytest

from runplane.events.kinds import EventKind as K
from runplane.events.status import RunStatus
from scale import scaled
from services.queue_workers import QueueSystem
from services.redis_server import RedisServer

END_S = 240.0
FOUR = {f"work_{i}": 1 for i in range(4)}
KILLS = scaled(4, long=20)
MakeQueues = Callable[..., QueueSystem]


def test_tasks_that_are_lost_beside_a_live_branch_cost_no_step(queues: QueueSystem, redis_broker: RedisServer) -> None:
    queues.queue_worker("-q", "work", "-c", "1")
    run_id = queues.create("four_held")
    coordinator = queues.worker(run_id)
    queues.wait_for("the live branch", lambda: len(queues.bodies(run_id, "start")) == 1, 60)

    redis_broker.client().flushall()
    queues.open_gate()

    assert coordinator.wait(END_S) == 0
    assert queues.status(run_id) is RunStatus.SUCCESS, queues.story(run_id)
    assert queues.completed(run_id) == FOUR


@pytest.mark.long
def test_workers_that_are_killed_on_a_broker_that_delivers_again_after_a_second(
    make_queues: MakeQueues, redis_broker: RedisServer
) -> None:
    again = {"broker_transport_options": {"visibility_timeout": 1}}
    queues = make_queues(redis_broker.url, nap_s=1.0, config_source=again)
    workers = [queues.queue_worker("-q", "narrow", "-q", "wide", "-c", "2") for _ in range(2)]
    run_id = queues.create("two_queues")
    coordinator = queues.worker(run_id)

    for turn in itertools.islice(itertools.cycle((0, 1)), KILLS):
        time.sleep(5.0)  # what is wanted is a kill each five seconds, wherever the run stands
        workers[turn].kill()
        workers[turn].wait()
        workers[turn] = queues.queue_worker("-q", "narrow", "-q", "wide", "-c", "2")
        if coordinator.poll() is not None:
            break

    assert coordinator.wait(END_S) == 0
    assert queues.status(run_id) is RunStatus.SUCCESS, queues.story(run_id)
    succeeded = Counter(e.step for e in queues.check(run_id) if e.kind == K.STEP_SUCCESS)
    assert len(succeeded) == 11
    assert set(succeeded.values()) == {1}
