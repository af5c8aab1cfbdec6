"""What a broker is used for, the same on a real Redis and a real RabbitMQ."""

from __future__ import annotations

import secrets
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kombu import Exchange, Queue

from runplane.celery_app import broker as broker_module
from runplane.celery_app.app import make_app, tasks_of_others
from runplane.celery_app.broker import Broker, BrokerUnavailableError, open_connection
from runplane.celery_app.hint import Hint, Refusal, read
from runplane.celery_app.settings import CelerySettings, without_password
from services import rabbitmq, redis_server
from services.fixtures import not_to_be_had
from services.redis_server import RedisServer


@pytest.fixture
def broker(broker_url: str) -> Iterator[Broker]:
    made = Broker(CelerySettings(broker_url))
    yield made
    made.close()


@pytest.fixture
def queue() -> str:
    """A queue of this test only."""
    return f"q-{secrets.token_hex(4)}"


def hint(queue: str, step: str = "a") -> Hint:
    return Hint("i", "run", step, 1, queue)


def taken(broker: Broker, queue: str) -> Hint | Refusal | None:
    got = broker.get(queue)
    if got is None:
        return None
    broker.acknowledge(got)
    return read(got.message, "i")


def test_a_hint_comes_out_as_it_went_in(broker: Broker, queue: str) -> None:
    assert broker.get(queue) is None

    broker.publish(hint(queue), 5)

    assert broker.depth(queue) == 1
    assert taken(broker, queue) == hint(queue)
    assert broker.depth(queue) == 0
    assert broker.get(queue) is None


def test_a_queue_that_is_gone_is_made_again_on_a_new_connection(broker: Broker, queue: str) -> None:
    broker.publish(hint(queue), 5)
    assert taken(broker, queue) == hint(queue)
    broker.ask(lambda connection: connection.default_channel.queue_delete(queue))
    broker.close()

    broker.publish(hint(queue, "b"), 5)

    assert taken(broker, queue) == hint(queue, "b")
    assert broker.get(queue) is None


def sent_by_celery(app: Any, hint: Hint, priority: int, *, is_redis: bool) -> None:
    """What Celery itself sends for a hint."""
    arguments = None if is_redis else {"x-max-priority": 10}
    to = Queue(hint.queue, Exchange(""), routing_key=hint.queue, queue_arguments=arguments)
    app.send_task(
        hint.task_name, kwargs=hint.to_kwargs(), task_id=hint.task_id, queue=to, priority=priority, ignore_result=True
    )


def test_a_message_is_what_celery_sends(broker: Broker, broker_url: str, queue: str, app: Any) -> None:
    is_redis = CelerySettings(broker_url).is_redis
    sent_by_celery(app, hint(queue), 4 if is_redis else 5, is_redis=is_redis)
    broker.publish(hint(queue), 5)

    theirs, ours = broker.get(queue), broker.get(queue)

    assert theirs is not None
    assert ours is not None
    assert ours.message == theirs.message
    of_the_sender = ("reply_to", "delivery_tag")
    properties = [{k: v for k, v in got.raw.properties.items() if k not in of_the_sender} for got in (theirs, ours)]
    assert properties[1] == properties[0]
    for got in (theirs, ours):
        broker.acknowledge(got)


class Tool:
    """A tool that hears of messages.

    Attributes:
        heard: the events of a queue.
        listening: the connection that it hears by.
    """

    listening: Any

    def __init__(self, app: Any, connection: Any) -> None:
        self.heard: dict[str, list[dict[str, Any]]] = {}
        self.receiver = app.events.Receiver(connection, handlers={"task-sent": self._hear})

    def _hear(self, event: dict[str, Any]) -> None:
        self.heard.setdefault(event["queue"], []).append(event)

    def wait_for(self, queue: str, events: int, again: Callable[[], None] | None = None) -> list[dict[str, Any]]:
        """The events of a queue, when there are so many. `again`: called whenever there was nothing to hear."""
        end = time.monotonic() + 60
        while len(self.heard.get(queue, ())) < events:
            assert time.monotonic() < end, self.heard
            try:
                self.listening.drain_events(timeout=0.2)
            except TimeoutError:
                if again is not None:
                    again()
        return self.heard[queue]


@pytest.fixture
def app(broker_url: str) -> Iterator[Any]:
    with make_app(CelerySettings(broker_url)) as made:
        yield made


@pytest.fixture
def tool(app: Any, broker_url: str, queue: str) -> Iterator[Tool]:
    """One that hears already."""
    is_redis = CelerySettings(broker_url).is_redis
    with app.connection_for_read() as connection:
        made = Tool(app, connection)
        with made.receiver.consumer_context() as (made.listening, _, _):
            first = f"{queue}-first"
            made.wait_for(first, 1, lambda: sent_by_celery(app, hint(first), 5, is_redis=is_redis))
            yield made


def test_tools_are_told_of_a_message_as_by_celery(
    broker: Broker, broker_url: str, queue: str, app: Any, tool: Tool
) -> None:
    sent_by_celery(app, hint(queue), 5, is_redis=CelerySettings(broker_url).is_redis)
    broker.publish(hint(queue), 5)

    heard = tool.wait_for(queue, 2)

    of_the_moment = ("timestamp", "local_received", "clock")
    theirs, ours = ({k: v for k, v in one.items() if k not in of_the_moment} for one in heard)
    assert ours == theirs
    assert 0 <= heard[1]["timestamp"] - heard[0]["timestamp"] < 60


def test_tools_are_not_told_where_that_is_not_wanted(broker: Broker, broker_url: str, queue: str, tool: Tool) -> None:
    quiet = Broker(CelerySettings(broker_url, {"task_send_sent_event": False}))

    quiet.publish(hint(queue), 5)
    broker.publish(hint(f"{queue}-after"), 5)

    tool.wait_for(f"{queue}-after", 1)
    assert queue not in tool.heard
    quiet.close()


@pytest.fixture(params=["redis", "rabbitmq"])
def quiet(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """Of a user who may use queues, and may not tell tools of it."""
    if request.param == "redis":
        server = request.getfixturevalue("redis_server_of_session")
        url = server.add_user(rabbitmq.QUIET, "~*", "+@all", "&/0.reply.*")
    else:
        url = request.getfixturevalue("rabbit_server").url_of(rabbitmq.QUIET)
    made = Broker(CelerySettings(url))
    yield made
    made.close()


def test_a_hint_is_there_though_nobody_may_be_told_of_it(
    quiet: Broker, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[CelerySettings] = []
    monkeypatch.setattr(broker_module, "open_connection", lambda of: opened.append(of) or open_connection(of))

    for step in ("a", "b"):
        quiet.publish(hint(queue, step), 5)

    assert len(opened) == 2, "only the first one cost the connection"
    end = time.monotonic() + 30
    while quiet.depth(queue) < 2:  # RabbitMQ counts a message a moment after it was sent
        assert time.monotonic() < end
    assert [taken(quiet, queue), taken(quiet, queue)] == [hint(queue, "a"), hint(queue, "b")]


def test_the_highest_priority_comes_first(broker: Broker, queue: str) -> None:
    for priority in (1, 9, 5, 3):
        broker.publish(hint(queue, str(priority)), priority)

    found = [taken(broker, queue) for _ in range(4)]

    assert [one.step for one in found if isinstance(one, Hint)] == ["9", "5", "3", "1"]


def test_what_is_given_back_is_there_for_others(broker: Broker, broker_url: str, queue: str) -> None:
    broker.publish(hint(queue), 5)
    got = broker.get(queue)
    assert got is not None

    broker.give_back(got)

    other = Broker(CelerySettings(broker_url))
    assert taken(other, queue) == hint(queue)
    other.close()


def test_what_is_acknowledged_does_not_come_again(broker: Broker, broker_url: str, queue: str) -> None:
    broker.publish(hint(queue), 5)

    assert taken(broker, queue) == hint(queue)
    broker.close()

    other = Broker(CelerySettings(broker_url))
    assert other.get(queue) is None
    other.close()


def test_a_queue_that_nobody_made_is_empty(broker: Broker, queue: str) -> None:
    assert broker.depth(queue) == 0

    broker.publish(hint(queue), 5)
    assert broker.depth(queue) == 1


def test_nobody_else_listens(broker_url: str, queue: str) -> None:
    assert tasks_of_others(CelerySettings(broker_url), [queue]) == {}


def test_a_broker_that_is_not_there_is_named_without_its_password() -> None:
    url = "redis://:secret@127.0.0.1:1/0"
    away = Broker(CelerySettings(url))

    with pytest.raises(BrokerUnavailableError, match="the broker does not answer") as raised:
        away.publish(hint("q"), 5)

    assert without_password(url) in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_wrong_password_is_named_without_it(tmp_path: Path) -> None:
    if redis_server.program() is None:
        not_to_be_had("no program `redis-server`")
    server = RedisServer(tmp_path, password="right")
    try:
        wrong = Broker(CelerySettings(server.url.replace("right", "wrong")))
        with pytest.raises(BrokerUnavailableError, match="AuthenticationError") as raised:
            wrong.get("q")
    finally:
        server.stop()

    assert "wrong" not in str(raised.value).replace("wrong username", "").replace("wrong number", "")


@pytest.mark.parametrize(("url", "key"), [("rediss://h:1/0", "ssl_cert_reqs"), ("amqps://h:1//", "cert_reqs")])
def test_certificates_are_checked_unless_somebody_says_otherwise(url: str, key: str) -> None:
    checked = make_app(CelerySettings(url)).conf.broker_use_ssl
    said = make_app(CelerySettings(url, {"broker_use_ssl": {key: "none"}})).conf.broker_use_ssl

    assert (checked[key], said[key]) == (ssl.CERT_REQUIRED, ssl.CERT_NONE)


@pytest.mark.parametrize(("url", "key"), [("redis://h:1/0", "ssl_cert_reqs"), ("pyamqp://h:1//", "cert_reqs")])
def test_tls_that_is_asked_for_is_checked_with_any_kind_of_url(url: str, key: str) -> None:
    asked = make_app(CelerySettings(url, {"broker_use_ssl": True})).conf.broker_use_ssl
    plain = make_app(CelerySettings(url, {"broker_use_ssl": False})).conf.broker_use_ssl

    assert asked[key] == ssl.CERT_REQUIRED
    assert plain is False


def test_only_json_is_accepted() -> None:
    conf = make_app(CelerySettings("redis://h")).conf

    assert conf.result_backend is None
    assert (list(conf.accept_content), conf.task_serializer, conf.event_serializer) == (["json"], "json", "json")
