"""What Celery's tools see of a worker: its events, which Flower lists, and its answers to ``celery inspect``.

Of remote control it answers questions only. Whatever would change something is refused in words. It has a thread and a connection of its
own, and a broker that is away holds nobody up: what happens meanwhile is not shown. Source of events and their fields:
https://docs.celeryq.dev/en/stable/userguide/monitoring.html#event-reference
"""

from __future__ import annotations

import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from celery import Celery
from celery.events import EventDispatcher
from kombu.connection import Connection
from kombu.entity import Exchange, Queue
from kombu.exceptions import OperationalError
from kombu.message import Message
from kombu.pidbox import Node

from .app import make_app
from .broker import ANSWER_WITHIN_S
from .hint import TASK_NAMES, Hint
from .settings import CelerySettings

HEARTBEAT_S = 2
LISTEN_S = 0.5
TRY_AGAIN_S = 2.0
OFFLINE_WITHIN_S = 2.0
"""For the word that a worker is gone. A broker that is frozen may hold up the worker's last question for 5 s before that, and it is to leave
within 10."""
OUTCOME = "its outcome is in the run's log"


@dataclass(frozen=True, slots=True)
class _Event:
    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Active:
    hint: Hint
    pid: int
    since: float


class Presence:
    """A worker as Celery's tools see it, from now on until ``close``.

    Args:
        settings: the broker.
        name: for people; the node's name is made of it, the process' id and the host.
        queues, slots: of the worker.
        version: of this library.
    """

    def __init__(self, settings: CelerySettings, name: str, queues: Sequence[str], slots: int, *, version: str) -> None:
        self._settings = settings
        self._version = version
        first, _, host = name.partition("@")
        self.node_name = f"{first}.{os.getpid()}@{host or socket.gethostname()}"
        self._queues = queues
        self._slots = slots
        self._active: dict[str, _Active] = {}
        self._ended = 0
        self._to_send: queue.SimpleQueue[_Event] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="runplane-presence", daemon=True)
        self._thread.start()

    def began(self, hint: Hint, pid: int) -> None:
        """A step, or a run, was taken and its process was started."""
        self._active[hint.task_id] = _Active(hint, pid, time.time())
        shown = {"name": hint.task_name, "args": "()", "kwargs": _shown(hint), "retries": hint.attempt - 1}
        self._to_send.put(_Event("task-received", {"uuid": hint.task_id, "root_id": hint.run, **shown}))
        self._to_send.put(_Event("task-started", {"uuid": hint.task_id}))

    def ended(self, hint: Hint, failed: str | None) -> None:
        """Its process has ended. `failed`: how, when it did not end by itself with code 0."""
        before = self._active.pop(hint.task_id, None)
        self._ended += 1
        runtime = time.time() - before.since if before is not None else 0.0
        if failed is None:
            told = _Event("task-succeeded", {"uuid": hint.task_id, "result": repr(OUTCOME), "runtime": runtime})
        else:
            told = _Event("task-failed", {"uuid": hint.task_id, "exception": failed, "traceback": ""})
        self._to_send.put(told)

    def close(self) -> None:
        """Say that the worker is gone, if the broker hears it."""
        self._closed.set()
        self._thread.join(OFFLINE_WITHIN_S)

    # The thread ----------------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        app = make_app(self._settings)
        with app.connection_for_write() as unopened:
            lost = (OperationalError, *unopened.connection_errors, *unopened.channel_errors, OSError)
        while not self._closed.is_set():
            try:
                with app.connection_for_write() as opened:
                    opened.ensure_connection(max_retries=1, interval_start=0, timeout=ANSWER_WITHIN_S)
                    self._be_there(app, opened)
            except lost:
                # Said by who takes hints. What piles up meanwhile is old when the broker is back.
                self._forget()
                self._closed.wait(TRY_AGAIN_S)

    def _be_there(self, app: Celery, connection: Connection) -> None:
        node = app.control.mailbox.Node(
            self.node_name, state=None, handlers=_Handlers(self._handlers()), channel=connection.channel()
        )
        dispatcher = app.events.Dispatcher(connection, hostname=self.node_name, enabled=True)
        node.listen(callback=lambda body, message: _hear(node, body, message))
        self._tell(dispatcher, "worker-online")
        beat_at = 0.0
        with _closing(dispatcher):
            while not self._closed.is_set():
                if time.monotonic() >= beat_at:
                    self._tell(dispatcher, "worker-heartbeat")
                    beat_at = time.monotonic() + HEARTBEAT_S
                self._send_all(dispatcher)
                try:
                    connection.drain_events(timeout=LISTEN_S)
                except TimeoutError:
                    continue
            self._send_all(dispatcher)
            self._tell(dispatcher, "worker-offline")

    def _send_all(self, dispatcher: EventDispatcher) -> None:
        while not self._to_send.empty():
            event = self._to_send.get()
            dispatcher.send(event.kind, **event.fields)

    def _tell(self, dispatcher: EventDispatcher, kind: str) -> None:
        about = {"sw_ident": "runplane", "sw_ver": self._version, "sw_sys": os.uname().sysname}
        counted = {"active": len(self._active), "processed": self._ended, "loadavg": os.getloadavg()}
        dispatcher.send(kind, freq=HEARTBEAT_S, **about, **counted)

    def _forget(self) -> None:
        while not self._to_send.empty():
            self._to_send.get()

    # Answers -------------------------------------------------------------------------------------------------------------------

    def _handlers(self) -> dict[str, Callable[..., Any]]:
        def answer(make: Callable[[], Any]) -> Callable[..., Any]:
            return lambda _state, **_arguments: make()

        return {
            "ping": answer(lambda: {"ok": "pong"}),
            "active": answer(lambda: [self._task(one) for one in list(self._active.values())]),
            "active_queues": answer(lambda: [_as_queue(name) for name in self._queues]),
            "registered": answer(lambda: sorted(TASK_NAMES.values())),
            "stats": answer(self._stats),
            "revoked": answer(list),
            "reserved": answer(list),
            "scheduled": answer(list),
            "conf": answer(dict),
        }

    def _task(self, one: _Active) -> dict[str, Any]:
        hint = one.hint
        return {
            "id": hint.task_id,
            "name": hint.task_name,
            "args": [],
            "kwargs": _public(hint),
            "hostname": self.node_name,
            "time_start": one.since,
            "acknowledged": True,
            "delivery_info": {"routing_key": hint.queue},
            "worker_pid": one.pid,
        }

    def _stats(self) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "broker": {"transport": self._settings.shown},
            "pool": {"max-concurrency": self._slots, "processes": [one.pid for one in list(self._active.values())]},
            "total": dict.fromkeys(TASK_NAMES.values(), self._ended),
            "prefetch_count": 0,
            "sw_ver": self._version,
        }


class _Handlers(dict[str, Callable[..., Any]]):
    """Whatever is not answered is refused in words."""

    def __missing__(self, method: str) -> Callable[..., Any]:
        text = f"{method[:40]} is refused: a worker answers questions only."
        if method in ("revoke", "terminate"):
            text += " Cancel the run: runplane run cancel RUN."
        return lambda _state, **_arguments: {"error": text}


def _hear(node: Node, body: Any, _message: Message) -> None:
    """One message of remote control, from whoever can reach the broker."""
    arguments = body.get("arguments") if isinstance(body, Mapping) else None
    if not isinstance(body, Mapping) or not isinstance(body.get("method"), str):
        return
    if arguments is not None and not isinstance(arguments, Mapping):
        return
    node.handle_message({k: v for k, v in body.items() if k in _OF_CONTROL})


_OF_CONTROL = ("method", "arguments", "destination", "pattern", "matcher", "reply_to", "ticket")


@contextmanager
def _closing(dispatcher: EventDispatcher) -> Any:
    try:
        yield
    finally:
        dispatcher.close()


def _as_queue(name: str) -> dict[str, Any]:
    """A queue as Celery's workers describe theirs: Flower's page of a worker wants each of these fields."""
    described: dict[str, Any] = Queue(name, Exchange(""), routing_key=name).as_dict(recurse=True)
    return described


def _public(hint: Hint) -> dict[str, Any]:
    return {"run": hint.run, **({"step": hint.step} if hint.step else {}), "attempt": hint.attempt, "queue": hint.queue}


def _shown(hint: Hint) -> str:
    return repr(_public(hint))
