"""A hint in the documented form of Celery's task messages (protocol 2) and of its ``task-sent`` event, as data for kombu.

Made here, and not by Celery, as each run's process would have to load it for this alone. A test holds both forms to what Celery sends.

Sources: https://docs.celeryq.dev/en/stable/internals/protocol.html,
https://docs.celeryq.dev/en/stable/userguide/monitoring.html#task-sent
"""

from __future__ import annotations

import os
import socket
import time
from typing import Any

from .hint import Hint

SENT_EVENT = "task-sent"
_NO_MORE = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def headers_of(hint: Hint) -> dict[str, Any]:
    """The headers of its message."""
    return {
        "lang": "py",
        "task": hint.task_name,
        "id": hint.task_id,
        "shadow": None,
        "eta": None,
        "expires": None,
        "group": None,
        "group_index": None,
        "retries": 0,
        "timelimit": [None, None],
        "root_id": hint.task_id,
        "parent_id": None,
        "argsrepr": "()",
        "kwargsrepr": repr(hint.to_kwargs()),
        "origin": _node(),
        "ignore_result": True,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
    }


def body_of(hint: Hint) -> tuple[Any, ...]:
    """What its message says, to be sent as JSON."""
    return (), hint.to_kwargs(), _NO_MORE


def sent_event(hint: Hint, clock: int) -> dict[str, Any]:
    """What tools like Flower hear of it.

    Args:
        clock: grows with each event of this sender.
    """
    seconds_west = time.altzone if time.localtime().tm_isdst > 0 else time.timezone
    return {
        "type": SENT_EVENT,
        "uuid": hint.task_id,
        "root_id": hint.task_id,
        "parent_id": None,
        "name": hint.task_name,
        "args": "()",
        "kwargs": repr(hint.to_kwargs()),
        "retries": 0,
        "eta": None,
        "expires": None,
        "queue": hint.queue,
        "exchange": "",
        "routing_key": hint.queue,
        "hostname": _node(),
        "utcoffset": seconds_west // 3600,
        "pid": os.getpid(),
        "clock": clock,
        "timestamp": time.time(),
    }


def _node() -> str:
    """The name of a sender that is no worker."""
    return f"gen{os.getpid()}@{socket.gethostname()}"
