"""The configuration of everything that uses Celery, checked whole: broker, backend, what may stand in ``config_source``.

Imports no Celery: a configuration is checked wherever an instance is. Source of the keys:
https://docs.dagster.io/api/libraries/dagster-celery
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import field
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

from ..config.schema import Text
from ..errors import ConfigErrors, Problem, Problems, nearest
from ..serdes.record import record
from .hint import QUEUE_NAME

DEFAULT_QUEUE = "dagster"
QUEUE_TAG = "dagster-celery/queue"
PRIORITY_TAG = "dagster-celery/priority"
RUN_PRIORITY_TAG = "dagster-celery/run_priority"
DEFAULT_PRIORITY = 5
LOWEST, HIGHEST = 0, 9
"""What both brokers know: Redis as ten lists, RabbitMQ's classic queues with ``x-max-priority`` 10."""
BROKER_HOST_ENV = "DAGSTER_CELERY_BROKER_HOST"
DATABASE = "database"
"""The broker of who wants none: workers look for steps in the instance's database."""
REDIS, RABBITMQ = ("redis", "rediss", "sentinel"), ("amqp", "amqps", "pyamqp")
TLS_PATH = "config_source.broker_use_ssl"
_TLS_OF_REDIS = (
    "ssl_cert_reqs", "ssl_ca_certs", "ssl_ca_path", "ssl_ca_data", "ssl_certfile", "ssl_keyfile", "ssl_password",
    "ssl_check_hostname", "ssl_ciphers",
)  # fmt: skip
"""Source: https://redis.readthedocs.io/en/stable/connections.html (``SSLConnection``)."""
_TLS_OF_RABBITMQ = ("cert_reqs", "ca_certs", "certfile", "keyfile", "server_hostname", "ciphers")
"""Source: https://docs.celeryq.dev/en/stable/userguide/configuration.html#broker-use-ssl."""
_CHECKS = ("none", "optional", "required")
_NEVER = {
    **dict.fromkeys(
        ("accept_content", "result_accept_content", "task_serializer", "result_serializer", "event_serializer"),
        "messages are JSON, and nothing else is read",
    ),
    **dict.fromkeys(("task_acks_late", "task_reject_on_worker_lost"), "a message is acknowledged when it is received"),
    **dict.fromkeys(
        ("task_compression", "result_compression", "task_protocol", "task_routes", "task_queues", "security_key"),
        "the form and the way of a message are fixed",
    ),
    **dict.fromkeys(
        ("imports", "task_always_eager", "worker_pool", "beat_schedule", "worker_prefetch_multiplier"),
        "a worker runs steps in processes of their own, and has no other tasks",
    ),
}
_KNOWN = (
    "broker_transport_options", "broker_use_ssl", "broker_connection_timeout", "broker_heartbeat", "broker_pool_limit",
    "broker_login_method", "broker_failover_strategy", "result_backend_transport_options", "redis_backend_use_ssl",
    "result_expires", "task_default_priority", "task_default_queue", "task_send_sent_event", "worker_send_task_events",
    "broker_connection_retry_on_startup", "broker_connection_max_retries", "timezone", "enable_utc", "worker_concurrency",
)  # fmt: skip


@record
class CelerySettings:
    """What a Celery app is made from.

    Attributes:
        broker: its URL, or ``database``.
        options: further settings of Celery's.
    """

    broker: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def lower_options(self) -> dict[str, Any]:
        """The further settings under their names in lower case."""
        return {key.lower(): value for key, value in self.options.items()}

    @property
    def uses_database(self) -> bool:
        """Whether there is no broker: workers take from the database."""
        return self.broker == DATABASE

    @property
    def is_redis(self) -> bool:
        """Whether the broker is Redis."""
        return scheme_of(self.broker) in REDIS

    @property
    def shown(self) -> str:
        """The broker without its password, for messages."""
        return without_password(self.broker)


def celery_settings(config: Mapping[str, Any], env: Mapping[str, str] = os.environ, *, where: str) -> CelerySettings:
    """The settings that the shared keys stand for: ``broker``, ``backend``, ``include``, ``config_source``.

    Raises:
        ConfigErrors: all that is wrong, with paths.
    """
    problems: list[Problem] = []
    given = Problems(found=problems)
    broker = Text(nullable=True, url=True).resolve(config.get("broker"), env, given.at("broker"))
    broker = broker or f"pyamqp://guest@{env.get(BROKER_HOST_ENV) or 'localhost'}:5672//"
    problems += _problems_of_broker(broker)
    if config.get("include"):
        got = ", ".join(map(str, config["include"]))
        text = "modules with tasks are not loaded: a worker runs steps, and nothing else"
        problems.append(Problem("include", text, got, "no modules"))
    options = dict(config.get("config_source") or {})
    problems += _problems_of_options(options)
    problems += _problems_of_sentinel(broker, options)
    use_ssl = {k.lower(): v for k, v in options.items()}.get("broker_use_ssl")
    problems += _problems_of_tls(broker, use_ssl, is_redis=scheme_of(broker) in REDIS)
    if problems:
        raise ConfigErrors(problems, where=where)
    return CelerySettings(broker, options)


def scheme_of(url: str) -> str:
    """The scheme, without the driver that may stand behind a plus."""
    return url.partition("://")[0].partition("+")[0].lower()


def without_password(url: str) -> str:
    """The same URL with the password and the query left out (a query may hold one too)."""
    shown = []
    for one in url.split(";"):
        parts = urlsplit(one)
        host = parts.netloc.rpartition("@")[2]
        user = parts.username
        shown.append(urlunsplit((parts.scheme, f"{user}:***@{host}" if user else host, parts.path, "", "")))
    return ";".join(shown)


def checked_queue(name: str, *, where: str) -> str:
    """The name of a queue.

    Raises:
        ConfigErrors: it is none.
    """
    if not QUEUE_NAME.fullmatch(name):
        expected = "at most 100 letters, digits and . _ : -, a letter or digit first"
        raise ConfigErrors([Problem(QUEUE_TAG, "is no name of a queue", repr(name), expected)], where=where)
    return name


def queue_of(tags: Mapping[str, str], *, where: str) -> str:
    """The queue of a step, by its op's tags. Raises ConfigErrors."""
    return checked_queue(str(tags.get(QUEUE_TAG) or DEFAULT_QUEUE), where=where)


def priority_of(run_tags: Mapping[str, str], op_tags: Mapping[str, str], *, where: str) -> int:
    """Run priority and op priority together, within what a broker knows: 0 to 9, 9 first.

    Raises:
        ConfigErrors: one of them is no whole number.
    """
    total = 0
    for tag, tags, default in ((RUN_PRIORITY_TAG, run_tags, 0), (PRIORITY_TAG, op_tags, DEFAULT_PRIORITY)):
        try:
            total += int(tags.get(tag, default))
        except ValueError:
            raise ConfigErrors([Problem(tag, "is no whole number", repr(tags[tag]), "0 to 9")], where=where) from None
    return min(max(total, LOWEST), HIGHEST)


def certificate_check(value: object) -> str | None:
    """``required``, ``CERT_REQUIRED``, its number and true alike; None: nothing of the kind."""
    if isinstance(value, bool):
        return "required" if value else "none"
    if isinstance(value, int):
        return dict(enumerate(_CHECKS)).get(value)
    name = str(value).lower().removeprefix("cert_")
    return name if name in _CHECKS else None


def _problems_of_broker(broker: str) -> list[Problem]:
    if broker == DATABASE:
        return []
    known = [*REDIS, *RABBITMQ]
    expected = f"a URL of {', '.join(known)}, or {DATABASE!r}"
    found = []
    for url in broker.split(";"):
        scheme = scheme_of(url)
        if "://" not in url or scheme not in known:
            got = scheme if "://" in url else repr(url[:20])
            found.append(
                Problem("broker", "is of a kind that is not known here", got, expected, nearest(scheme, known))
            )
    return found


def _problems_of_sentinel(broker: str, options: Mapping[str, Any]) -> list[Problem]:
    given = {k.lower(): v for k, v in options.items()}.get("broker_transport_options") or {}
    if scheme_of(broker) != "sentinel" or given.get("master_name"):
        return []
    path = "config_source.broker_transport_options.master_name"
    return [
        Problem(
            path, "Sentinel has to be told which master is meant", "nothing", "the name in Sentinel's configuration"
        )
    ]


def _problems_of_options(options: Mapping[str, Any]) -> list[Problem]:
    found = []
    for name, value in options.items():
        path = f"config_source.{name}"
        lower = name.lower()
        if lower in _NEVER:
            found.append(Problem(path, f"may not be set: {_NEVER[lower]}"))
        elif lower == "task_queue_max_priority" and value != 10:
            found.append(Problem(path, "queues are declared with 10, as there", repr(value), "10"))
        elif lower not in (*_KNOWN, "task_queue_max_priority"):
            known = sorted(_KNOWN)
            found.append(Problem(path, "is not known here", name, "one of " + ", ".join(known), nearest(lower, known)))
    arguments = options.get("broker_transport_options") or {}
    queue_type = str((arguments.get("queue_arguments") or {}).get("x-queue-type") or "classic")
    if queue_type != "classic":
        path = "config_source.broker_transport_options.queue_arguments.x-queue-type"
        found.append(Problem(path, "a quorum queue has no ten priorities", queue_type, "classic"))
    return found


def _problems_of_tls(broker: str, given: object, *, is_redis: bool) -> list[Problem]:
    found = [] if is_redis else _problems_of_parameters(broker)
    if given is None or isinstance(given, bool):
        return found
    if not isinstance(given, Mapping):
        return [*found, Problem(TLS_PATH, "is neither true nor a map", repr(given), "for instance {ca_certs: FILE}")]
    known = _TLS_OF_REDIS if is_redis else _TLS_OF_RABBITMQ
    for name, value in given.items():
        path = f"{TLS_PATH}.{name}"
        if name not in known:
            text = f"is not known to {'Redis' if is_redis else 'RabbitMQ'}"
            found.append(Problem(path, text, str(name), f"one of {', '.join(known)}", nearest(str(name), known)))
        elif name.endswith("cert_reqs") and value is not None and certificate_check(value) is None:
            found.append(Problem(path, "is not known", repr(value), f"one of {', '.join(_CHECKS)}"))
    return found


def _problems_of_parameters(broker: str) -> list[Problem]:
    found = []
    for url in broker.split(";"):
        for name in parse_qs(urlsplit(url).query, keep_blank_values=True):
            key = name.removeprefix("ssl_")
            if key in _TLS_OF_RABBITMQ:
                text = "has a parameter for TLS, which RabbitMQ's URLs do not know"
                found.append(Problem("broker", text, name, f"{TLS_PATH}: {{{key}: ...}}"))
    return found
