"""The events of one attempt on stdout, for programs that read a step's output as Dagster's do (``print_serialized_events``)."""

from __future__ import annotations

import json
import sys

from ..events.dagster_view import entries_of
from ..events.event import Event, NewEvent
from ..events.run import Run
from .event_sink import EventSink


class PrintedEvents:
    """Passes events on, and prints them when the attempt is over, one line of Dagster's form each."""

    def __init__(self, run: Run, sink: EventSink) -> None:
        self._run = run
        self._sink = sink
        self._events: list[NewEvent] = []

    def take(self, event: NewEvent) -> None:
        """Pass an event on."""
        self._events.append(event)
        self._sink.take(event)

    def print(self) -> None:
        """Print what was passed on."""
        for e in self._events:
            event = Event(self._run.run_id, 0, e.kind, e.step, e.n, e.body, e.written_at, e.written_at)
            for entry in entries_of(event, self._run.job_name):
                nested = json.loads(entry)["dagster_event"]
                if nested is not None:
                    sys.stdout.write(json.dumps(nested, sort_keys=True) + "\n")
        sys.stdout.flush()
