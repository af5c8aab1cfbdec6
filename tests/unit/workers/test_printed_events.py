"""A step worker that is asked for it prints what happened, a line of Dagster's form for each event, beside storing it."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from runplane import workers
from runplane.events.event import NewEvent
from runplane.events.kinds import EventKind
from runplane.events.run import Run
from runplane.workers.event_sink import EventSink


class Sink:
    def __init__(self) -> None:
        self.taken: list[NewEvent] = []

    def take(self, event: NewEvent) -> None:
        self.taken.append(event)


def test_events_are_stored_and_printed_but_for_those_that_dagster_does_not_have(capsys: Any) -> None:
    events = [
        NewEvent(EventKind.STEP_START, "a", 1, {}, 1.0),
        NewEvent(EventKind.LOG, "a", 1, {"message": "hello", "level": 20}, 1.0),
        NewEvent(EventKind.STEP_SUCCESS, "a", 1, {"duration_ms": 2.0}, 1.0),
    ]
    sink = Sink()
    printed = workers.printed_events.PrintedEvents(Run("r" * 8, "a_job"), cast(EventSink, sink))

    for event in events:
        printed.take(event)
    printed.print()

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sink.taken == events
    assert [(line["__class__"], line["event_type_value"], line["step_key"]) for line in lines] == [
        ("DagsterEvent", "STEP_START", "a"),
        ("DagsterEvent", "STEP_SUCCESS", "a"),
    ]


def test_nothing_else_is_loaded_late() -> None:
    with pytest.raises(AttributeError, match="nothing_of_this_name"):
        _ = workers.nothing_of_this_name
