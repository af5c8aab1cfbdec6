"""The same queues on a real RabbitMQ, which is killed in the middle and comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runplane.events.status import RunStatus
from services import rabbitmq
from services.fixtures import not_to_be_had
from services.queue_workers import QueueSystem
from services.rabbitmq import RabbitServer

END_S = 240.0


@pytest.fixture
def rabbit(servers_folder: Path) -> Iterator[RabbitServer]:
    """A RabbitMQ of this test."""
    if not rabbitmq.is_installed():
        not_to_be_had("no program `rabbitmq-server`")
    folder = servers_folder / "rabbitmq-of-queues"
    folder.mkdir()
    server = RabbitServer(folder)
    yield server
    server.stop()


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
