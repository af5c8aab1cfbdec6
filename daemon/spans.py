"""The trace of a run, told from its log: submitted, queued, launched, imported, and each attempt of each step. Pure: data in, data out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..events.event import Event
from ..events.kinds import EventKind
from ..events.run import Run
from ..events.status import RunStatus
from ..events.trace_context import TRACEPARENT_TAG, parent_of, span_id

_ENDS = frozenset({EventKind.RUN_SUCCESS, EventKind.RUN_FAILURE, EventKind.RUN_CANCELED})
_BEGINS = frozenset({EventKind.STEP_START, EventKind.STEP_RESTARTED})
_OUTCOMES: Mapping[str, str] = {
    EventKind.STEP_SUCCESS: "success",
    EventKind.STEP_FAILURE: "failure",
    EventKind.STEP_UP_FOR_RETRY: "up for retry",
    EventKind.STEP_SEALED: "lost",
}


@dataclass(frozen=True, slots=True)
class Span:
    """One span.

    Attributes:
        trace_id, span_id, parent_id: hexadecimal; None for a span without a parent.
        name: ``run <job>``, ``submit``, ``queue``, ``launch``, ``import``, ``step <key>``.
        began, ended: seconds since the epoch, by the clock of whoever wrote the event.
        error: what went wrong, or None.
        attributes: text or numbers.
        events: when, what.
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    began: float
    ended: float
    error: str | None = None
    attributes: Mapping[str, str | int] = field(default_factory=dict)
    events: tuple[tuple[float, str], ...] = ()


def spans_of(run: Run, events: Iterable[Event]) -> list[Span]:
    """The spans of a run that is over, the run's own first; none for a run that is not traced."""
    trace = parent_of(run.tags.get(TRACEPARENT_TAG))
    return _Story(run, list(events)).spans(trace.trace_id, trace.span_id) if trace is not None else []


class _Story:
    """A run and its events."""

    def __init__(self, run: Run, events: list[Event]) -> None:
        self._run = run
        self._events = events
        self._first: dict[str, float] = {}
        for event in events:
            self._first.setdefault(event.kind, event.written_at)
        self._end = next((e for e in reversed(events) if e.kind in _ENDS), None)

    def spans(self, trace_id: str, parent_id: str) -> list[Span]:
        run, mine = self._run, span_id(self._run.run_id)
        ended = self._end.written_at if self._end is not None else run.created_at
        whole = Span(
            trace_id,
            mine,
            parent_id if parent_id != mine else None,
            f"run {run.job_name}",
            run.created_at,
            max(ended, run.created_at),
            _error(self._end.body) if self._end is not None and run.status is RunStatus.FAILURE else None,
            {"runplane.run_id": run.run_id, "runplane.job": run.job_name, "runplane.status": run.status.value},
            tuple((e.written_at, "taken over") for e in self._events if e.kind == EventKind.RUN_RESUMED),
        )
        phases = (
            Span(trace_id, span_id(run.run_id, name), mine, name, began, max(began, end))
            for name, began, end in self._phases(ended)
        )
        return [whole, *phases, *self._attempts(trace_id, mine, ended)]

    def _phases(self, ended: float) -> Iterator[tuple[str, float, float]]:
        """What comes before the first step. A phase that the run did not leave lasts until its end; one that it never entered is none."""
        enqueued, starting, claimed = (
            self._first.get(kind) for kind in (EventKind.RUN_ENQUEUED, EventKind.RUN_STARTING, EventKind.RUN_START)
        )
        works = self._first.get(EventKind.STEP_WORKER_STARTED)
        entered = [
            ("submit", self._run.created_at),
            ("queue", enqueued),
            ("launch", starting),
            ("import", claimed),
            ("", works),
        ]
        known = [(name, at) for name, at in entered if at is not None]
        for (name, at), (_, left) in zip(known, [*known[1:], ("", ended)], strict=True):
            if name:
                yield name, at, left

    def _attempts(self, trace_id: str, parent_id: str, ended: float) -> Iterator[Span]:
        claimed: dict[tuple[str, int], float] = {}
        began: dict[tuple[str, int], float] = {}
        for event in self._events:
            if event.step is None or event.n is None:
                continue
            attempt = (event.step, event.n)
            if event.kind == EventKind.STEP_WORKER_STARTED:
                claimed[attempt] = event.written_at
            elif event.kind in _BEGINS:
                began[attempt] = event.written_at
            elif event.kind in _OUTCOMES and attempt in claimed:
                at = began.get(attempt, claimed.pop(attempt))
                yield self._attempt(trace_id, parent_id, attempt, at, event.written_at, event)
        for attempt, at in claimed.items():
            yield self._attempt(trace_id, parent_id, attempt, began.get(attempt, at), ended, None)

    def _attempt(
        self, trace_id: str, parent_id: str, attempt: tuple[str, int], began: float, ended: float, end: Event | None
    ) -> Span:
        step, n = attempt
        outcome = _OUTCOMES[end.kind] if end is not None else "none"
        error = None if outcome == "success" else _error(end.body if end is not None else {}) or outcome
        attributes: dict[str, str | int] = {"runplane.step": step, "runplane.attempt": n, "runplane.outcome": outcome}
        mine = span_id(self._run.run_id, step, n)
        return Span(trace_id, mine, parent_id, f"step {step}", began, max(began, ended), error, attributes)


def _error(body: Mapping[str, Any]) -> str:
    error = body.get("error") or {}
    return str(error.get("message") or body.get("message") or body.get("evidence") or "").strip()
