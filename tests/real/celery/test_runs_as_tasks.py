"""Runs as tasks of a real Redis: a message that comes twice, one that is lost, a worker that is killed, one that leaves."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable

from runplane.celery_app.app import make_app
from runplane.celery_app.broker import Broker
from runplane.celery_app.hint import Hint
from runplane.celery_app.settings import CelerySettings
from runplane.events.kinds import EventKind as K
from runplane.events.status import RunStatus
from runplane.launchers.contract import HealthState
from services.queue_workers import QueueSystem
from services.redis_server import RedisServer

END_S = 120.0
FOUR = {f"work_{i}": 1 for i in range(4)}
MakeQueues = Callable[..., QueueSystem]


def launching(make_queues: MakeQueues, broker: str, nap_s: float = 0.3) -> QueueSystem:
    """A system whose runs are tasks of queue `runs`, and whose steps are tasks of queue `work`."""
    config = {"broker": broker, "default_queue": "runs"}
    launcher = {"module": "dagster_celery.launcher", "class": "CeleryRunLauncher", "config": config}
    return make_queues(broker, nap_s, json.dumps({"run_launcher": launcher}))


def test_a_message_that_comes_again_starts_no_second_process(
    make_queues: MakeQueues, redis_broker: RedisServer
) -> None:
    queues = launching(make_queues, redis_broker.url)
    first = queues.queue_worker("-q", "runs", "-q", "work", "-c", "6")
    second = queues.queue_worker("-q", "runs", "-q", "work", "-c", "6")
    run_id = queues.launch("four_held")
    queues.wait_for("the bodies", lambda: len(queues.bodies(run_id, "start")) == 4, 60)
    shown = make_app(CelerySettings(redis_broker.url)).control.inspect(timeout=5.0, limit=2).active()
    names = [task["name"] for tasks in (shown or {}).values() for task in tasks]
    assert sorted(names) == ["runplane.run", *["runplane.step"] * 4], "what `celery inspect active` and Flower show"
    broker = Broker(CelerySettings(redis_broker.url))
    hint = Hint(queues.instance.instance_id, run_id, "", 1, "runs")

    for _ in range(4):
        broker.publish(hint, 5)

    def refused() -> int:
        answers = [queues.state(worker)["answers"] for worker in (first, second)]
        return sum(one.get("held", 0) + one.get("ended", 0) for one in answers)

    queues.wait_for("the answers", lambda: refused() == 4, 60)
    broker.close()
    queues.open_gate()
    queues.wait_for_status(run_id, RunStatus.SUCCESS, timeout_s=END_S)
    assert queues.completed(run_id) == FOUR
    assert queues.kinds(run_id)[K.RUN_RESUMED] == 0
    assert queues.kinds(run_id)[K.RUN_START] == 1
    assert queues.instance.runs.get(run_id).tags["dagster-celery/task_id"] == f"{run_id}.1"
    queues.wait_for("the end of all rows", lambda: queues.queued() == 0)


def test_a_run_is_launched_while_the_broker_is_away_and_found_without_a_message(
    make_queues: MakeQueues, redis_broker: RedisServer
) -> None:
    queues = launching(make_queues, redis_broker.url)
    redis_broker.stop()

    run_id = queues.launch("four")

    assert any("without a message" in str(e.body.get("message")) for e in queues.events(run_id))
    redis_broker.start()
    queues.queue_worker("-q", "runs", "-q", "work", "-c", "3")
    queues.wait_for_status(run_id, RunStatus.SUCCESS, timeout_s=END_S)
    assert queues.completed(run_id) == FOUR


def test_a_worker_that_leaves_hands_its_run_on_and_no_step_is_repeated(make_queues: MakeQueues) -> None:
    queues = launching(make_queues, "database")
    leaving = queues.queue_worker("-q", "runs", "-c", "1")
    queues.queue_worker("-q", "work", "-c", "4")
    run_id = queues.launch("four_held")
    queues.wait_for("the bodies", lambda: len(queues.bodies(run_id, "start")) == 4, 60)

    leaving.send_signal(signal.SIGTERM)
    queues.queue_worker("-q", "runs", "-c", "1")

    assert leaving.wait(60) == 0
    queues.wait_for("the other worker's process", lambda: queues.kinds(run_id)[K.RUN_RESUMED] == 1, 60)
    queues.open_gate()
    queues.wait_for_status(run_id, RunStatus.SUCCESS, timeout_s=END_S)
    queues.check(run_id)
    assert queues.completed(run_id) == FOUR
    assert {b["n"] for b in queues.bodies(run_id)} == {1}


def test_a_killed_workers_run_ends_with_it_and_is_resumed_in_the_slot_that_is_free(make_queues: MakeQueues) -> None:
    queues = launching(make_queues, "database")
    doomed = queues.queue_worker("-q", "runs", "-c", "1")
    queues.queue_worker("-q", "work", "-c", "4")
    run_id = queues.launch("four_held")
    queues.wait_for("the bodies", lambda: len(queues.bodies(run_id, "start")) == 4, 60)
    head = queues.instance.journal.head(run_id)

    doomed.kill()
    doomed.wait()
    queues.queue_worker("-q", "runs", "-c", "1")

    queues.wait_for("the launcher's word", lambda: queues.instance.worker_health(run_id).state is HealthState.GONE, 60)
    assert head.owner is not None
    queues.wait_for("the end of the run's process", lambda: head.owner.pid not in [p.pid for p in queues.processes()])
    queues.instance.resume(run_id)
    queues.open_gate()
    queues.wait_for_status(run_id, RunStatus.SUCCESS, timeout_s=END_S)
    queues.check(run_id)
    assert queues.completed(run_id) == FOUR
    assert {b["n"] for b in queues.bodies(run_id)} == {1}, "its steps in the other worker went on"


def test_a_run_that_nobody_took_is_canceled_and_never_started(make_queues: MakeQueues) -> None:
    queues = launching(make_queues, "database")
    run_id = queues.launch("four")
    assert queues.instance.worker_health(run_id).state is HealthState.ALIVE

    queues.instance.cancel(run_id)
    worker = queues.queue_worker("-q", "runs", "-q", "work", "-c", "2")
    other = queues.launch("four")

    queues.wait_for_status(other, RunStatus.SUCCESS, timeout_s=END_S)
    assert queues.status(run_id) is RunStatus.CANCELED
    assert queues.bodies(run_id) == []
    assert queues.state(worker)["answers"].get("taken") == 5
    queues.wait_for("the end of all rows", lambda: queues.queued() == 0)
