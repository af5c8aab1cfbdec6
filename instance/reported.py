"""What a plug-in that was written for Dagster's contract reports of its work, as an event of the run.

Source: https://docs.dagster.io/api/dagster/internals (DagsterInstance.report_engine_event, EngineEventData).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ..events.causes import ErrorInfo
from ..events.event import NewEvent
from ..events.kinds import EventKind

_MARKERS = ("marker_start", "marker_end")


def engine_event(message: str, data: Any = None, cls: type | None = None, step: str | None = None) -> NewEvent:
    """An annotation.

    Args:
        message: for a person.
        data: has ``metadata``, ``error``, ``marker_start`` and ``marker_end``, or some of them; Dagster's ``EngineEventData`` does.
        cls: whose event it is; its name stands before the message.
        step: the step that it is about.
    """
    body: dict[str, Any] = {
        "message": f"[{cls.__name__}] {message}" if cls is not None else message,
        "metadata": {str(label): _plain(value) for label, value in (getattr(data, "metadata", None) or {}).items()},
        "error": _error(getattr(data, "error", None)),
        # Dagster's views tell events that were reported from outside of a run from those of its worker.
        "reported": True,
    }
    body |= {name: getattr(data, name) for name in _MARKERS if getattr(data, name, None) is not None}
    return NewEvent(EventKind.ENGINE_EVENT, step, None, body, time.time())


def _plain(value: Any) -> Any:
    """A JSON value: what is wrapped in a class of metadata (``.value``) is unwrapped, what is left is text."""
    value = getattr(value, "value", value)
    if isinstance(value, Mapping):
        return {str(label): _plain(one) for label, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _error(error: Any) -> dict[str, Any] | None:
    """An exception, or an object with Dagster's fields of one."""
    if error is None:
        return None
    if isinstance(error, BaseException):
        return ErrorInfo(message=f"{type(error).__name__}: {error}\n", cls_name=type(error).__name__).to_body()
    stack = tuple(str(line) for line in getattr(error, "stack", None) or ())
    return ErrorInfo(str(getattr(error, "message", error)), stack, getattr(error, "cls_name", None)).to_body()
