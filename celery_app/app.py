"""The Celery app, for what Celery's tools see and ask: events, remote control. Loaded by workers only."""

from __future__ import annotations

from typing import Any

from celery import Celery
from kombu.connection import Connection

from .broker import ANSWER_WITHIN_S, Broker, tls_of, transport_options
from .hint import TASK_NAMES
from .settings import CelerySettings


def make_app(settings: CelerySettings) -> Celery:
    """The Celery app of a configuration: JSON only, no results, no tasks of others. Raises ConfigErrors: a file that TLS wants is not there."""
    app = Celery("runplane", broker=settings.broker, backend=None, set_as_current=False)
    options: dict[str, Any] = {
        "accept_content": ["json"],
        "task_serializer": "json",
        "event_serializer": "json",
        "task_ignore_result": True,
        "task_send_sent_event": True,
        "task_create_missing_queues": False,
        "broker_connection_timeout": ANSWER_WITHIN_S,
        "broker_connection_retry_on_startup": True,
    }
    tls = tls_of(settings)
    fixed = {"broker_transport_options": transport_options(settings), **({"broker_use_ssl": tls} if tls else {})}
    app.conf.update({**options, **settings.lower_options, **fixed})
    return app


def tasks_of_others(settings: CelerySettings, queues: list[str]) -> dict[str, list[str]]:
    """Workers of Celery that listen to one of these queues, with their tasks that are not ours. Raises BrokerUnavailableError."""
    app = make_app(settings)

    def ask(connection: Connection) -> dict[str, list[str]]:
        inspect = app.control.inspect(timeout=1.0, connection=connection)
        listening = {
            name for name, found in (inspect.active_queues() or {}).items() if any(q["name"] in queues for q in found)
        }
        registered = inspect.registered() or {}
        ours = set(TASK_NAMES.values())
        return {name: tasks for name, tasks in registered.items() if name in listening and not ours & {*tasks}}

    broker = Broker(settings)
    try:
        return broker.ask(ask)
    finally:
        broker.close()
