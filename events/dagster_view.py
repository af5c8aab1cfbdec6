"""Events as Dagster stores them (``EventLogEntry``), both ways: for exports, the API, and logs that Dagster wrote.

What Dagster has no event for is hidden (issued, sealed, resumed) or shown as the log line it writes there (abandoned). What a
Dagster entry says beyond our event is kept in the body under ``dagster`` and written back, so that reading and writing an entry
gives the same entry.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from math import isfinite
from typing import Any

from ..errors import DocumentError
from ..serdes.json_text import parse, sorted_text
from ..serdes.limits import Bounds
from .dagster_assets import FORMS
from .dagster_data import Tree
from .event import Event
from .kinds import EventKind
from .messages import abandoned_text, default_message, skipped_text

EVENT_BOUNDS = Bounds(text=16 * 1024 * 1024)
"""An error text alone may have 500,000 characters for each of its causes."""

KEPT = "dagster"
"""Key of a body that holds what only Dagster's entry says: ``{"entry": {...}, "event": {...}}``."""

_TYPE_OF = {
    kind.value: ("PIPELINE_" + kind.value[4:] if kind.value.startswith("RUN_") else kind.value) for kind in EventKind
}
_KIND_OF = {stored: kind for kind, stored in _TYPE_OF.items()}
_HIDDEN = frozenset({EventKind.STEP_ISSUED.value, EventKind.STEP_SEALED.value, EventKind.RUN_RESUMED.value})
# Names that mean something of ours: a Dagster event that is called so is read as an engine event, its type kept.
_OURS = frozenset({*_HIDDEN, EventKind.STEP_ABANDONED.value, EventKind.LOG.value})
_PLANNED = frozenset({EventKind.ASSET_MATERIALIZATION_PLANNED.value, EventKind.ASSET_CHECK_EVALUATION_PLANNED.value})
# Reported through the instance, not by the machinery that executes: the text stands in the nested event only.
_REPORTED = frozenset(
    {EventKind.RUN_ENQUEUED.value, EventKind.RUN_STARTING.value, EventKind.RUN_CANCELING.value, *_PLANNED}
)
_ERRORS = frozenset(
    {
        EventKind.STEP_FAILURE.value,
        EventKind.RUN_FAILURE.value,
        EventKind.RUN_CANCELED.value,
        EventKind.HOOK_ERRORED.value,
        EventKind.RESOURCE_INIT_FAILURE.value,
    }
)
_NO_HANDLE = frozenset({EventKind.STEP_WORKER_STARTED.value, EventKind.ENGINE_EVENT.value, *_PLANNED})
_HANDLE_ONLY = frozenset(
    {
        EventKind.RESOURCE_INIT_STARTED.value,
        EventKind.RESOURCE_INIT_SUCCESS.value,
        EventKind.RESOURCE_INIT_FAILURE.value,
    }
)
_DEBUG, _INFO, _ERROR = 10, 20, 40
_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, IndexError)


def entries_of(event: Event, job_name: str) -> list[str]:
    """An event as the entries that Dagster would have stored: none, one, or a log line and the event.

    Raises:
        DocumentError: its body lacks what Dagster's form needs.
    """
    kind, body = event.kind, event.body
    if kind in _HIDDEN or (kind == EventKind.STEP_WORKER_STARTED and not body):
        return []  # a claim that says nothing is of a step that was started in its coordinator's own process
    try:
        because = list(body.get("because") or [])
        if kind == EventKind.STEP_ABANDONED:
            return [] if because == ["intent"] else [_abandoned(event, job_name, because)]
        if kind == EventKind.LOG:
            return [_with_kept(event, _log_line(event, job_name, body.get("level", _INFO), body.get("message", "")))]
        text = _with_kept(event, _entry(event, job_name))
        if kind == EventKind.STEP_SKIPPED and because:
            return [_log_line(event, job_name, _INFO, skipped_text(event.step or "", because)), text]
        return [text]
    except _UNREADABLE as exc:
        raise DocumentError(
            f"the {kind} event has no form in Dagster's log",
            where=f"run {event.run_id}, event {event.seq}",
            got=f"{type(exc).__name__}: {exc}"[:200],
        ) from exc


def event_from_entry(text: str | bytes, seq: int = 0, n: int | None = None) -> Event:
    """The event of a stored entry.

    Args:
        text: the entry as Dagster stored it.
        seq: the number it shall have.
        n: the attempt it belongs to, if it is of a step.

    Raises:
        DocumentError: not a readable entry. Data of an unknown class is no reason: it is kept.
    """
    return _event(_parsed(text), seq, n)


def events_from_entries(texts: Iterable[str | bytes]) -> list[Event]:
    """The events of a run's stored entries, numbered from 1, with attempt numbers counted from the retries. Raises DocumentError."""
    events: list[Event] = []
    attempts: dict[str, int] = {}
    for seq, text in enumerate(texts, start=1):
        tree = _parsed(text)
        step = tree.get("step_key")
        n = attempts.get(step, 1) if isinstance(step, str) else None
        event = _event(tree, seq, n)
        if event.kind == EventKind.STEP_UP_FOR_RETRY and event.step is not None:
            attempts[event.step] = (n or 1) + 1
        events.append(event)
    return events


# ---------------------------------------------------------------------------------------------------- our event -> entry


# Written as text at once, in the order of the keys: a tree between costs more than all else together.


def _log_line(event: Event, job_name: str, level: int, message: str) -> str:
    return _envelope("null", event, job_name, event.step, level, message)


def _abandoned(event: Event, job_name: str, because: list[str]) -> str:
    message = event.body.get("message") or abandoned_text(event.step or "", because)
    return _log_line(event, job_name, _ERROR, message)


def _envelope(nested: str, event: Event, job_name: str, step: str | None, level: int, user_message: str) -> str:
    return (
        f'{{"__class__": "EventLogEntry", "dagster_event": {nested}, "error_info": null, "level": {int(level)}, '
        f'"message": "", "pipeline_name": {quoted(job_name)}, "run_id": {quoted(event.run_id)}, '
        f'"step_key": {"null" if step is None else quoted(step)}, "timestamp": {_scalar(event.written_at)}, '
        f'"user_message": {quoted(user_message)}}}'
    )


def _entry(event: Event, job_name: str) -> str:
    kind, body = event.kind, event.body
    message = body.get("message")
    if message is None:
        message = default_message(kind, job_name, event.step, event.n, body)
    reported = kind in _REPORTED or bool(body.get("reported"))
    step = None if kind == EventKind.LOGS_CAPTURED else event.step
    stored = _TYPE_OF.get(kind, kind)
    tags, handles = _NO_HANDLES
    if step is not None and kind in _NO_HANDLE:
        handles = handles.replace('"step_key": null', f'"step_key": {quoted(step)}')
    elif step is not None:
        tags, handles = _handles(step, event.run_id, job_name, kind not in _HANDLE_ONLY)
    nested = (
        f'{{"__class__": "DagsterEvent", "event_specific_data": {_data_text(event)}, '
        f'"event_type_value": {quoted(stored)}, "logging_tags": {tags}, '
        f'"message": {"null" if message is None else quoted(message)}, "pid": {_scalar(body.get("pid"))}, '
        f'"pipeline_name": {quoted(job_name)}, {handles}}}'
    )
    user_message = "" if reported else (message or _nameless(stored, step))
    return _envelope(nested, event, job_name, step, _level(kind, body, reported), user_message)


def _data_text(event: Event) -> str:
    body = event.body
    kept = _kept(event, "event")
    if "event_specific_data" in kept:
        return sorted_text(kept["event_specific_data"])
    form = FORMS.get(event.kind)
    if form is None:
        return sorted_text(body.get("data"))
    fields = form.write(body, event.step)
    return "null" if fields is None else sorted_text({"__class__": form.stored, **fields})


def _level(kind: str, body: Mapping[str, Any], reported: bool) -> int:
    if kind in _ERRORS or (kind == EventKind.ENGINE_EVENT and body.get("error")):
        return _ERROR
    return _INFO if reported and kind not in _PLANNED else _DEBUG


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    plain = type(value) is int or (type(value) is float and isfinite(value))
    return repr(value) if plain else sorted_text(value)


def _nameless(stored: str, step: str | None) -> str:
    return f"DagsterEventType.{stored}" + (f" for step {step}" if step else "")


_NO_HANDLES = ("{}", '"solid_handle": null, "step_handle": null, "step_key": null, "step_kind_value": null')


@lru_cache(maxsize=1024)
def _handles(step: str, run_id: str, job_name: str, whole: bool) -> tuple[str, str]:
    """The texts of ``logging_tags`` and of the four fields about the step; `whole` for an event of its execution."""
    path, bracket, mapping_key = step.partition("[")
    node: Tree | None = None
    for name in path.split("."):
        node = {"__class__": "SolidHandle", "name": name, "parent": node}
    handle: Tree = {"__class__": "StepHandle", "key": step, "solid_handle": node}
    if bracket and mapping_key != "?]":
        handle |= {"__class__": "ResolvedFromDynamicStepHandle", "mapping_key": mapping_key[:-1]}
    tags = {
        "job_name": job_name,
        "op_name": path.rpartition(".")[2],
        "resource_fn_name": "None",
        "resource_name": "None",
        "run_id": run_id,
        "step_key": step,
    }
    fields = {
        "solid_handle": node if whole else None,
        "step_handle": handle,
        "step_key": step,
        "step_kind_value": "COMPUTE" if whole else None,
    }
    return sorted_text(tags if whole else {}), sorted_text(fields)[1:-1]


def _with_kept(event: Event, text: str) -> str:
    if KEPT not in event.body:
        return text
    tree = json.loads(text)
    if tree["dagster_event"] is not None:
        tree["dagster_event"] |= _kept(event, "event")
    return sorted_text(tree | _kept(event, "entry"))


def _kept(event: Event, part: str) -> Tree:
    kept = event.body.get(KEPT)
    found = kept.get(part) if isinstance(kept, Mapping) else None
    return dict(found) if isinstance(found, Mapping) else {}


# ---------------------------------------------------------------------------------------------------- entry -> our event


def _parsed(text: str | bytes) -> Tree:
    tree = parse(text, EVENT_BOUNDS)
    if type(tree) is dict and tree.get("__class__") == "EventLogEntry":
        return tree
    got = str(tree.get("__class__"))[:80] if type(tree) is dict else type(tree).__name__
    raise DocumentError("not an event", got=got, expected="EventLogEntry")


def _event(tree: Tree, seq: int, n: int | None) -> Event:
    nested = tree.get("dagster_event")
    if nested is not None and (type(nested) is not dict or nested.get("__class__") != "DagsterEvent"):
        raise DocumentError("not an event of Dagster's", where="dagster_event", expected="a DagsterEvent or null")
    run_id = _typed(tree, "run_id", str)
    job_name = _typed(tree, "pipeline_name", str, type(None)) or ""
    step = _typed(tree, "step_key", str, type(None))
    at = float(_typed(tree, "timestamp", int, float))
    text = _typed(tree, "user_message", str, type(None))
    level = _typed(tree, "level", int)
    body: Tree
    if nested is None:
        kind = EventKind.LOG.value
        body = {"message": text or "", "level": level}
    else:
        stored = _typed(nested, "event_type_value", str)
        kind = EventKind.ENGINE_EVENT.value if stored in _OURS else _KIND_OF.get(stored, stored)
        body = _body(kind, nested)
        if kind == EventKind.ENGINE_EVENT and text == "" and nested.get("message") is not None:
            body["reported"] = True
    event = Event(run_id, seq, kind, step, n if step is not None else None, body, at, at)
    message = nested.get("message") if nested else None
    if type(message) is str and message != default_message(kind, job_name, step, n, body):
        body["message"] = message
    if kind == EventKind.STEP_WORKER_STARTED:
        body.setdefault("pid", None)
    _keep_the_rest(event, tree, nested, job_name)
    return event


def _body(kind: str, nested: Tree) -> Tree:
    data, form = nested.get("event_specific_data"), FORMS.get(kind)
    body: Tree = {}
    if form is None:
        if type(data) is dict:
            body["data"] = data
    elif type(data) is dict and data.get("__class__") == form.stored:
        try:
            body = form.read(data)
        except _UNREADABLE:
            body = {}  # kept whole by _keep_the_rest
    if type(nested.get("pid")) is int:
        body["pid"] = nested["pid"]
    return body


def _keep_the_rest(event: Event, tree: Tree, nested: Tree | None, job_name: str) -> None:
    """Put into the body what the entry says and the event, written again, would not."""
    assert isinstance(event.body, dict)
    try:
        text = _again(event, job_name)
    except _UNREADABLE:
        event.body[KEPT] = {"event": {"event_specific_data": nested.get("event_specific_data") if nested else None}}
        text = _again(event, job_name)
    if text == sorted_text(tree):
        return
    again = json.loads(text)
    shown = again["dagster_event"] or {}
    event_part = {key: value for key, value in (nested or {}).items() if not _same(value, shown.get(key, _ABSENT))}
    entry_part = {
        key: value
        for key, value in tree.items()
        if key != "dagster_event" and not _same(value, again.get(key, _ABSENT))
    }
    kept = event.body.get(KEPT, {})
    kept = {"entry": entry_part, "event": {**kept.get("event", {}), **event_part}}
    if any(kept.values()):
        event.body[KEPT] = {key: value for key, value in kept.items() if value}


def _again(event: Event, job_name: str) -> str:
    if event.kind == EventKind.LOG:
        return _log_line(event, job_name, event.body["level"], event.body["message"])
    return _entry(event, job_name)


_ABSENT = object()


def _same(a: Any, b: Any) -> bool:
    # By text: 1 and 1.0 and true differ there, and NaN is NaN.
    return a is b or (type(a) is type(b) and sorted_text(a) == sorted_text(b))


def _typed(tree: Tree, key: str, *types: type) -> Any:
    value = tree.get(key)
    if type(value) not in types:
        names = " or ".join("null" if t is type(None) else t.__name__ for t in types)
        raise DocumentError("not the right type", where=key, got=type(value).__name__, expected=names)
    return value
