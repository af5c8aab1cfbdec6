"""What a real Redis may do in the middle of a run: forget, deliver again after a second, while workers are killed."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

import psutil
import pytest
from redis import Redis

from runplane.events.status import RunStatus
from services.queue_workers import QueueSystem
from services.redis_server import RedisServer

END_S = 240.0
WAITS_S = 5.0
"""Long enough for a share of a processor to mean something."""
FOUR = {f"work_{i}": 1 for i in range(4)}
MakeQueues = Callable[..., QueueSystem]


def test_tasks_that_are_lost_beside_a_live_branch_cost_no_step_and_no_processor(
    queues: QueueSystem, redis_broker: RedisServer
) -> None:
    queues.queue_worker("-q", "work", "-c", "1")
    run_id = queues.create("four_held")
    coordinator = queues.worker(run_id)
    queues.wait_for("the live branch", lambda: len(queues.bodies(run_id, "start")) == 1, 60)
    broker = redis_broker.client()
    queues.wait_for("the other three", lambda: _waiting(broker) == 3, 60)

    broker.flushall()
    used_s, began = _processor_s(coordinator), time.monotonic()
    queues.wait_for("all to be sent again", lambda: time.monotonic() > began + WAITS_S and _waiting(broker) == 3, 60)
    used_s, waited_s = _processor_s(coordinator) - used_s, time.monotonic() - began
    queues.open_gate()

    assert used_s < 0.2 * waited_s, f"the run's process used {used_s:.2f} s of a processor in {waited_s:.2f} s"
    assert coordinator.wait(END_S) == 0
    assert queues.status(run_id) is RunStatus.SUCCESS, queues.story(run_id)
    assert queues.completed(run_id) == FOUR


@pytest.mark.long
def test_workers_that_are_killed_on_a_broker_that_delivers_again_after_a_second(
    make_queues: MakeQueues, redis_broker: RedisServer
) -> None:
    again = {"broker_transport_options": {"visibility_timeout": 1}}
    queues = make_queues(redis_broker.url, nap_s=1.0, config_source=again, width=100)
    living = [queues.queue_worker("-q", "narrow", "-q", "wide", "-c", "2") for _ in range(4)]
    run_id = queues.create("many")
    coordinator = queues.worker(run_id)

    while coordinator.poll() is None:
        time.sleep(5.0)  # what is wanted is a kill each five seconds, wherever the run stands
        living[0].kill()
        living[0].wait()
        living = [*living[1:], queues.queue_worker("-q", "narrow", "-q", "wide", "-c", "2")]

    assert coordinator.wait(END_S) == 0
    assert queues.status(run_id) is RunStatus.SUCCESS, queues.story(run_id)
    queues.check(run_id)
    assert set(queues.completed(run_id).values()) == {1}
    assert len(queues.completed(run_id)) == 200


def _waiting(broker: Redis) -> int:
    """Hints in the queue, of steps that have no priority of their own."""
    return int(broker.llen("work\x06\x164"))


def _processor_s(process: subprocess.Popen[bytes]) -> float:
    """What a process has used of processors so far."""
    used = psutil.Process(process.pid).cpu_times()
    return float(used.user + used.system)
