"""The same queues on a real RabbitMQ, which is killed in the middle and comes back, and which has no patience with consumers."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from runplane.celery_app.broker import Broker, BrokerUnavailableError
from runplane.celery_app.hint import Hint
from runplane.celery_app.settings import CelerySettings
from runplane.events.status import RunStatus
from scale import scaled
from services import rabbitmq
from services.broker_outages import resumed_after
from services.fixtures import not_to_be_had
from services.queue_workers import QueueSystem
from services.rabbitmq import RabbitServer

END_S = 240.0
MakeRabbit = Callable[..., RabbitServer]


PATIENCE_S = scaled(1, long=60)
"""RabbitMQ's patience with a message that is not acknowledged; 60 s is the least that its manual allows."""
STEP_S = scaled(4, long=180)


@pytest.fixture
def make_rabbit(servers_folder: Path) -> Iterator[MakeRabbit]:
    """Makes the RabbitMQ of a test."""
    if not rabbitmq.is_installed():
        not_to_be_had("no program `rabbitmq-server`")
    made: list[RabbitServer] = []

    def make(consumer_timeout_s: float = 60.0) -> RabbitServer:
        folder = servers_folder / f"rabbitmq-{secrets.token_hex(4)}"
        folder.mkdir()
        made.append(RabbitServer(folder, consumer_timeout_s))
        return made[-1]

    yield make
    for server in made:
        server.stop()


@pytest.fixture
def rabbit(make_rabbit: MakeRabbit) -> RabbitServer:
    """A RabbitMQ as patient as may be."""
    return make_rabbit()


def test_steps_may_take_longer_than_rabbitmq_waits_for_an_acknowledgement(
    make_queues: Callable[..., QueueSystem], make_rabbit: MakeRabbit
) -> None:
    rabbit = make_rabbit(PATIENCE_S)
    queues = make_queues(rabbit.url, nap_s=STEP_S)
    keeper = Broker(CelerySettings(rabbit.url))
    keeper.publish(Hint("i", "run", "a", 1, "kept"), 5)
    assert keeper.get("kept") is not None
    worker = queues.queue_worker("-q", "work", "-c", "2")
    run_id = queues.create("four")

    assert queues.run_to_end(run_id, END_S + 3 * STEP_S) == 0

    assert queues.status(run_id) is RunStatus.SUCCESS, queues.story(run_id)
    queues.check(run_id)
    assert queues.completed(run_id) == {f"work_{i}": 1 for i in range(4)}
    assert len(queues.bodies(run_id, "start")) == 4
    answers = queues.state(worker)["answers"]
    assert answers["taken"] == 4
    again = scaled(0, long=2)  # each of the two that wait for three minutes is announced once more by its run
    assert sum(answers.values()) <= 4 + again, f"nothing was delivered twice: {answers}"
    assert "does not answer" not in queues.stderr(worker), "its channel was closed"
    with pytest.raises(BrokerUnavailableError, match="timed out"):
        keeper.get("kept")  # who does not acknowledge at once loses his channel: its patience was over
    keeper.close()


@pytest.mark.long
def test_a_broker_that_is_killed_and_comes_back(make_queues: Callable[..., QueueSystem], rabbit: RabbitServer) -> None:
    queues = make_queues(rabbit.url, nap_s=2.0)
    queues.queue_worker("-q", "narrow", "-c", "1")
    queues.queue_worker("-q", "wide", "-c", "2")
    run_id = queues.create("two_queues")
    coordinator = queues.worker(run_id)
    queues.wait_for("the first bodies", lambda: len(queues.bodies(run_id, "start")) >= 2, 90)

    rabbit.stop()
    queues.wait_for("the steps that ran", lambda: len(queues.bodies(run_id, "end")) >= 2, 90)
    rabbit.start()

    assert coordinator.wait(END_S) == 0
    assert queues.status(run_id) is RunStatus.SUCCESS, queues.story(run_id)
    queues.check(run_id)
    assert set(queues.completed(run_id).values()) == {1}
    assert queues.most_at_once(run_id, "narrow") == 1
    assert queues.most_at_once(run_id, "wide") == 2


@pytest.mark.long
def test_what_waits_is_taken_again_after_each_return(
    make_queues: Callable[..., QueueSystem], rabbit: RabbitServer
) -> None:
    lengths = [random.Random(7).uniform(1, 30) for _ in range(20)]
    queues = make_queues(rabbit.url, width=len(lengths) + 1)
    queues.queue_worker("-q", "work", "-c", "1")
    run_id = queues.create("turns")
    coordinator = queues.worker(run_id)

    def stop(seconds: float) -> None:
        rabbit.stop()
        time.sleep(seconds)

    resumed = resumed_after(queues, run_id, [partial(stop, seconds) for seconds in lengths], rabbit.start)

    assert coordinator.wait(END_S) == 0
    assert max(resumed) < 15, resumed
