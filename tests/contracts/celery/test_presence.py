"""What Celery's own tools see of a worker, on a real Redis and a real RabbitMQ: events, and answers to ``celery inspect``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from runplane.celery_app.app import make_app
from runplane.celery_app.hint import Hint
from runplane.celery_app.presence import Presence
from runplane.celery_app.settings import CelerySettings
from services.redis_server import RedisServer

PATIENCE_S = 60.0
HINT = Hint("i", "run-1", "train", 2, "gpu")


@pytest.fixture
def presence(broker_url: str) -> Iterator[Presence]:
    made = Presence(CelerySettings(broker_url), "runplane@here", ["gpu", "dagster"], 3, version="1.2")
    yield made
    made.close()


@pytest.fixture
def tools(broker_url: str) -> Any:
    """A Celery app of somebody else's, as Flower has one."""
    return make_app(CelerySettings(broker_url))


def answers(tools: Any, ask: Callable[[Any], Any], node: str) -> Any:
    """What the node says, when it is there."""
    end = time.monotonic() + PATIENCE_S
    while True:
        found = ask(tools.control.inspect(timeout=1.0)) or {}
        if node in found:
            return found[node]
        assert time.monotonic() < end, f"no answer of {node}"


def test_inspect_lists_the_worker_and_what_it_runs(presence: Presence, tools: Any) -> None:
    presence.began(HINT, 4711)

    assert answers(tools, lambda i: i.ping(), presence.node_name) == {"ok": "pong"}
    (active,) = answers(tools, lambda i: i.active(), presence.node_name)
    stats = answers(tools, lambda i: i.stats(), presence.node_name)
    queues = answers(tools, lambda i: i.active_queues(), presence.node_name)
    registered = answers(tools, lambda i: i.registered(), presence.node_name)

    assert (active["name"], active["id"], active["worker_pid"]) == ("runplane.step", "run-1.train.2", 4711)
    assert active["kwargs"] == {"run": "run-1", "step": "train", "attempt": 2, "queue": "gpu"}
    assert stats["pool"]["max-concurrency"] == 3
    assert "guest:guest" not in str(stats)
    assert [one["name"] for one in queues] == ["gpu", "dagster"]
    assert registered == ["runplane.run", "runplane.step"]


def test_who_leaves_does_not_wait_for_a_frozen_broker(redis_server_of_session: RedisServer) -> None:
    presence = Presence(CelerySettings(redis_server_of_session.url), "frozen@here", ["gpu"], 1, version="1.2")
    tools = make_app(CelerySettings(redis_server_of_session.url))
    answers(tools, lambda i: i.ping(), presence.node_name)

    redis_server_of_session.freeze()
    began = time.monotonic()
    presence.close()
    took_s = time.monotonic() - began
    redis_server_of_session.start()

    assert took_s < 4.5, "the broker's 5 s are for questions"


def test_what_would_change_something_is_refused_in_words(presence: Presence, tools: Any) -> None:
    answers(tools, lambda i: i.ping(), presence.node_name)

    for method, arguments in (("shutdown", {}), ("revoke", {"task_id": "x"}), ("pool_restart", {}), ("rate_limit", {})):
        (reply,) = tools.control.broadcast(method, arguments=arguments, reply=True, limit=1, timeout=20.0)
        assert "is refused" in reply[presence.node_name]["error"]

    assert answers(tools, lambda i: i.ping(), presence.node_name) == {"ok": "pong"}


def test_flower_hears_of_the_worker_and_of_tasks(presence: Presence, tools: Any) -> None:
    state = tools.events.State()
    run = Hint("i", "run-2", "", 1, "dagster")
    told: list[bool] = []

    def hear(event: dict[str, Any]) -> None:
        state.event(event)
        if not told and presence.node_name in state.workers:
            told.append(True)
            for hint in (HINT, run):
                presence.began(hint, 4711)
            presence.ended(HINT, None)
            presence.ended(run, "its process 4711 ended with code 1")
        receiver.should_stop = {task.state for task in state.tasks.values()} == {"SUCCESS", "FAILURE"}

    with tools.connection_for_read() as connection:
        receiver = tools.events.Receiver(connection, handlers={"*": hear})
        receiver.capture(limit=None, timeout=PATIENCE_S, wakeup=False)

    worker = state.workers[presence.node_name]
    step, of_run = state.tasks["run-1.train.2"], state.tasks["run-2.1"]
    assert (worker.alive, worker.sw_ident) == (True, "runplane")
    assert (step.name, of_run.name) == ("runplane.step", "runplane.run")
    assert step.kwargs == "{'run': 'run-1', 'step': 'train', 'attempt': 2, 'queue': 'gpu'}"
    assert (step.state, of_run.exception) == ("SUCCESS", "its process 4711 ended with code 1")
