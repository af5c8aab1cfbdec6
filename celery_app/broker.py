"""A broker as this house uses it: put a hint into a queue, get one message, count what waits, give a message back.

A message is got one by one, when there is a slot for what it asks for, and acknowledged at once. Nothing is prefetched, so that the
length of a queue is what waits, and neither Redis' visibility timeout nor RabbitMQ's consumer timeout ever runs.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from kombu import compression
from kombu.connection import Connection
from kombu.entity import PERSISTENT_DELIVERY_MODE, TRANSIENT_DELIVERY_MODE, Exchange, Queue
from kombu.exceptions import OperationalError
from kombu.message import Message as KombuMessage
from kombu.messaging import Producer

from ..errors import RunplaneError
from .hint import Hint, Message
from .settings import HIGHEST, CelerySettings, scheme_of
from .task_message import SENT_EVENT, body_of, headers_of, sent_event
from .tls import checked_tls

ANSWER_WITHIN_S = 5.0
EVENTS = "celeryev"
"""The exchange of Celery's events."""
EVENTS_DECLARED = f"exchange {EVENTS}"
"""Stands beside the names of queues, of which none has a blank."""
UNTOLD_S = 60.0
"""How long tools are told nothing after they could not be told: where they never can, each attempt would cost the connection."""
MAX_PRIORITY_DECLARED = 10
"""As Dagster declares its queues; a queue that is there with another number is refused by RabbitMQ."""
DISTRUSTED = "Name who vouches for it in config_source: broker_use_ssl: {ssl_ca_certs: FILE} (Redis) or {ca_certs: FILE} (RabbitMQ)."
T = TypeVar("T")


class BrokerUnavailableError(RunplaneError):
    """The broker did not answer, or does not let us in."""


def open_connection(settings: CelerySettings) -> Connection:
    """A connection that opens when it is used. Raises ConfigErrors: a file that TLS wants is not there."""
    given = settings.lower_options
    ways = {key: given[f"broker_{key}"] for key in ("login_method", "failover_strategy") if f"broker_{key}" in given}
    return Connection(
        settings.broker,
        ssl=tls_of(settings),
        connect_timeout=given.get("broker_connection_timeout", ANSWER_WITHIN_S),
        transport_options=transport_options(settings),
        **ways,
    )


def tls_of(settings: CelerySettings) -> dict[str, Any] | None:
    """What is set for TLS; None: there is none. Raises ConfigErrors: a file is not there."""
    asked = settings.lower_options.get("broker_use_ssl")
    if scheme_of(settings.broker) not in ("rediss", "amqps") and not asked:
        return None
    return checked_tls(settings.broker, asked, is_redis=settings.is_redis)


def transport_options(settings: CelerySettings) -> dict[str, Any]:
    """What kombu's transport is told."""
    given = settings.lower_options.get("broker_transport_options") or {}
    if settings.is_redis:
        steps = list(range(HIGHEST + 1))
        asked = {
            "socket_timeout": ANSWER_WITHIN_S,
            "socket_connect_timeout": ANSWER_WITHIN_S,
            "health_check_interval": 25,
        }
        # Ten lists for ten priorities; kombu's default has four.
        return {**asked, **given, "priority_steps": steps, "queue_order_strategy": "priority"}
    return {
        "connect_timeout": ANSWER_WITHIN_S,
        "read_timeout": ANSWER_WITHIN_S,
        "write_timeout": ANSWER_WITHIN_S,
        **given,
    }


def refuse_compression() -> None:
    """Have kombu decompress nothing in this process. It does so when it makes a message, before anybody can look at it, and a message of
    some kilobytes may become gigabytes."""

    def refuse(_: bytes) -> bytes:
        raise ValueError("compressed messages are refused")

    for content_type in compression.encoders():
        compression.register(refuse, refuse, content_type)


class Got:
    """A message that was taken from a queue and is not acknowledged yet. `message`: as it came, nothing decoded."""

    def __init__(self, raw: KombuMessage, message: Message) -> None:
        self.raw = raw
        self.message = message


class Broker:
    """One connection to the broker, for one thread.

    Args:
        settings: which broker.
    """

    def __init__(self, settings: CelerySettings) -> None:
        self._settings = settings
        self._tells = bool(settings.lower_options.get("task_send_sent_event", True))
        self._tell_at = 0.0
        self._clock = itertools.count(1)
        tls_of(settings)  # a file that is missing is told now
        self._connection: Connection | None = None
        self._producer: Producer | None = None
        self._declared: set[str] = set()

    def publish(self, hint: Hint, priority: int) -> None:
        """Put a hint into its queue, which is made when it is not there.

        Raises:
            BrokerUnavailableError: it may be there or not.
        """

        def publish(connection: Connection) -> None:
            producer = self._producer_on(connection)
            producer.publish(
                body_of(hint),
                exchange="",
                routing_key=hint.queue,
                declare=[] if hint.queue in self._declared else [self._queue(hint.queue)],
                headers=headers_of(hint),
                correlation_id=hint.task_id,
                priority=self._on_the_wire(priority),
                serializer="json",
                delivery_mode=PERSISTENT_DELIVERY_MODE,
            )
            self._declared.add(hint.queue)

        self.ask(publish)
        if self._tells and time.monotonic() >= self._tell_at:
            # What tools show is not worth a second hint: it may fail by itself, as where this user may not use that exchange.
            try:
                self.ask(lambda connection: self._tell_sent(connection, hint))
            except BrokerUnavailableError:
                self._tell_at = time.monotonic() + UNTOLD_S

    def get(self, queue: str) -> Got | None:
        """The first message of a queue, or None. It is either acknowledged or given back. Raises BrokerUnavailableError."""

        def get(connection: Connection) -> Got | None:
            if not self._settings.is_redis:
                self._queue(queue)(connection.default_channel).declare()
            # Not `bound.get`, which raises for a message that can not be decompressed, and leaves it unanswered.
            raw = connection.default_channel.basic_get(queue=queue, no_ack=False)
            to_python = getattr(connection.default_channel, "message_to_python", None)
            raw = to_python(raw) if raw is not None and to_python is not None else raw
            return Got(raw, _as_it_came(queue, raw)) if raw is not None else None

        return self.ask(get)

    def acknowledge(self, got: Got) -> None:
        """It is ours now. Raises BrokerUnavailableError: it may come again."""
        self.ask(lambda _: got.raw.ack())

    def give_back(self, got: Got) -> None:
        """Put it back for somebody else. Raises BrokerUnavailableError: the broker does that by itself."""
        self.ask(lambda _: got.raw.requeue())

    def depth(self, queue: str) -> int:
        """How many messages wait in a queue. Raises BrokerUnavailableError."""

        def size(connection: Connection) -> int:
            try:
                return int(connection.default_channel.queue_declare(queue=queue, passive=True).message_count)
            except connection.channel_errors:
                # There is no such queue (on Redis: nothing in it); RabbitMQ closes the channel over it.
                self.close()
                return 0

        return self.ask(size)

    def close(self) -> None:
        """Give the connection up; the next call opens one."""
        connection = self._forget_connection()
        if connection is not None:
            connection.release()

    def _queue(self, name: str) -> Queue:
        arguments = None if self._settings.is_redis else {"x-max-priority": MAX_PRIORITY_DECLARED}
        # The exchange without a name leads to the queue of the routing key, and needs no binding.
        return Queue(name, Exchange(""), routing_key=name, queue_arguments=arguments)

    def _tell_sent(self, connection: Connection, hint: Hint) -> None:
        kind = "fanout" if self._settings.is_redis else "topic"
        producer = self._producer_on(connection)
        event = sent_event(hint, next(self._clock))
        producer.publish(
            event,
            exchange=EVENTS,
            routing_key=SENT_EVENT.replace("-", "."),
            declare=[] if EVENTS_DECLARED in self._declared else [Exchange(EVENTS, type=kind)],
            headers={"hostname": event["hostname"]},
            serializer="json",
            delivery_mode=TRANSIENT_DELIVERY_MODE,
        )
        self._declared.add(EVENTS_DECLARED)

    def _producer_on(self, connection: Connection) -> Producer:
        """What publishes on a connection's channel. It is kept while that is the same one, as kombu keeps what was declared on it: making both
        for each message was a quarter of what publishing costs."""
        channel = connection.default_channel
        if self._producer is None or self._producer.channel is not channel:
            self._producer, self._declared = Producer(channel, auto_declare=False), set()
        return self._producer

    def _on_the_wire(self, priority: int) -> int:
        """Redis' first list is that of 0: it counts the other way round."""
        return HIGHEST - priority if self._settings.is_redis else priority

    def ask(self, call: Callable[[Connection], T]) -> T:
        """Do something with the connection. Raises BrokerUnavailableError."""
        if self._connection is None:
            self._connection = open_connection(self._settings)
        connection = self._connection
        try:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=ANSWER_WITHIN_S)
            return call(connection)
        except (OperationalError, *connection.connection_errors, *connection.channel_errors, OSError) as e:
            self._drop()
            cause = e.__cause__ or e
            text = f"the broker does not answer: {type(cause).__name__}: {_first_line(cause)}"
            hint = DISTRUSTED if "certificate verify failed" in text else None
            raise BrokerUnavailableError(text, where=self._settings.shown, hint=hint) from e

    def _drop(self) -> None:
        """Close a connection that is of no more use, which may fail too."""
        connection = self._forget_connection()
        if connection is not None:
            connection.collect(socket_timeout=1)

    def _forget_connection(self) -> Connection | None:
        connection, self._connection, self._producer = self._connection, None, None
        return connection


def _as_it_came(queue: str, raw: KombuMessage) -> Message:
    body = raw.body.encode("utf-8", "surrogatepass") if isinstance(raw.body, str) else bytes(raw.body or b"")
    headers: Mapping[str, Any] = raw.headers if isinstance(raw.headers, Mapping) else {}
    return Message(queue, headers, str(raw.content_type or ""), str(raw.content_encoding or ""), body)


def _first_line(e: BaseException) -> str:
    return str(e).strip().partition("\n")[0][:200]
