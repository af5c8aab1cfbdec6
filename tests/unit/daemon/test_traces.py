"""The trace of a run is told from its log; what was not taken is sent again, and what was is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from daemon_houses import DaemonHouse
from runplane.daemon.otlp import AT_ONCE, OtlpSender
from runplane.daemon.spans import Span, spans_of
from runplane.daemon.trace_loop import TraceLoop
from runplane.events.event import Event
from runplane.events.kinds import EventKind as K
from runplane.events.run import Run
from runplane.events.status import RunStatus
from runplane.events.trace_context import (
    PENDING_TAG,
    TRACEPARENT_TAG,
    Parent,
    parent_of,
    span_id,
    step_parent,
    tags_for_trace,
)
from runplane.instance.instance import RunRequest

RUN = "0af76519-16cd-43dd-8448-eb211c80319c"
TRACE = RUN.replace("-", "")
OUTSIDE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ON = {"RUNPLANE_TRACING": "1"}


def log(*lines: tuple[str, float, str | None, int | None]) -> list[Event]:
    return [Event(RUN, i, kind, step, n, {}, at, at) for i, (kind, at, step, n) in enumerate(lines, 1)]


def traced(status: RunStatus = RunStatus.SUCCESS) -> Run:
    return Run(RUN, "job", tags=tags_for_trace(RUN, {}, ON), status=status, created_at=100.0)


def shape(spans: Sequence[Span]) -> list[tuple[str, float, float]]:
    return [(span.name, span.began, span.ended) for span in spans]


def test_phases_follow_one_another_and_attempts_stand_beside_them() -> None:
    events = log(
        (K.RUN_ENQUEUED, 101, None, None),
        (K.RUN_STARTING, 105, None, None),
        (K.RUN_START, 107, None, None),
        (K.STEP_WORKER_STARTED, 110, "a", 1),
        (K.STEP_START, 111, "a", 1),
        (K.STEP_UP_FOR_RETRY, 112, "a", 1),
        (K.STEP_WORKER_STARTED, 113, "a", 2),
        (K.STEP_RESTARTED, 114, "a", 2),
        (K.STEP_SUCCESS, 115, "a", 2),
        (K.RUN_SUCCESS, 116, None, None),
    )

    spans = spans_of(traced(), events)

    assert shape(spans) == [
        ("run job", 100, 116),
        ("submit", 100, 101),
        ("queue", 101, 105),
        ("launch", 105, 107),
        ("import", 107, 110),
        ("step a", 111, 112),
        ("step a", 114, 115),
    ]
    assert {span.trace_id for span in spans} == {TRACE}
    assert [span.parent_id for span in spans] == [None, *[spans[0].span_id] * 6]
    assert len({span.span_id for span in spans}) == 7
    assert [span.error for span in spans] == [None] * 5 + ["up for retry", None]


def test_a_run_that_never_started_waited_until_its_end() -> None:
    events = log((K.RUN_ENQUEUED, 101, None, None), (K.RUN_CANCELED, 103, None, None))

    assert shape(spans_of(traced(RunStatus.CANCELED), events)) == [
        ("run job", 100, 103),
        ("submit", 100, 101),
        ("queue", 101, 103),
    ]


def test_an_attempt_without_an_outcome_lasts_until_the_end_of_the_run() -> None:
    events = log(
        (K.RUN_START, 101, None, None),
        (K.STEP_WORKER_STARTED, 102, "a", 1),
        (K.RUN_FAILURE, 105, None, None),
    )

    spans = spans_of(traced(RunStatus.FAILURE), events)

    assert shape(spans)[-1] == ("step a", 102, 105)
    assert spans[-1].error == "none"


def test_a_run_that_is_not_traced_has_no_spans_and_its_steps_no_context() -> None:
    run = Run(RUN, "job", tags=tags_for_trace(RUN, {}, {}))

    assert spans_of(run, log((K.RUN_START, 1, None, None))) == []
    assert step_parent(run.tags, RUN, "a", 1) is None
    assert run.tags == {}


@pytest.mark.parametrize(
    ("tags", "env", "wanted"),
    [
        ({}, {}, Parent(TRACE, span_id(RUN))),
        ({}, {"TRACEPARENT": OUTSIDE}, parent_of(OUTSIDE)),
        ({TRACEPARENT_TAG: OUTSIDE}, {"TRACEPARENT": "00-" + "1" * 32 + "-" + "2" * 16 + "-01"}, parent_of(OUTSIDE)),
        ({}, {"TRACEPARENT": "00-" + "0" * 32 + "-00f067aa0ba902b7-01"}, Parent(TRACE, span_id(RUN))),
        ({}, {"TRACEPARENT": "nonsense"}, Parent(TRACE, span_id(RUN))),
    ],
)
def test_a_run_joins_the_trace_of_the_run_that_it_repeats_or_of_who_submits_it(
    tags: dict[str, str], env: dict[str, str], wanted: Parent
) -> None:
    found = tags_for_trace(RUN, tags, {**ON, **env})

    assert parent_of(found[TRACEPARENT_TAG]) == wanted


class Taking:
    """Takes spans, or does not."""

    def __init__(self) -> None:
        self.takes = True
        self.traces: list[Sequence[Span]] = []

    def send(self, spans: Sequence[Span]) -> bool:
        if self.takes:
            self.traces.append(spans)
        return self.takes

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def house() -> Iterator[DaemonHouse]:
    house = DaemonHouse()
    house.instance._env = ON
    yield house
    house.instance.close()


def test_a_trace_is_sent_when_the_run_is_over_until_it_is_taken_and_then_no_more(house: DaemonHouse) -> None:
    run_id = house.instance.create(RunRequest("job")).run_id
    sender = Taking()
    loop = TraceLoop(sender)
    assert house.run_once(loop).done == 0, "a run that goes on has no trace yet"
    house.end(run_id)

    sender.takes = False
    assert house.run_once(loop).problems == (f"the trace of run {run_id} was not taken; it is sent again later",)
    sender.takes = True
    reports = [house.run_once(loop).done for _ in range(2)]

    assert reports == [1, 0]
    assert [[span.name for span in trace] for trace in sender.traces] == [["run job", "submit"]]
    assert PENDING_TAG not in house.instance.runs.get(run_id).tags


def test_spans_reach_opentelemetry_with_their_ids_times_and_status() -> None:
    exporter = InMemorySpanExporter()  # type: ignore[no-untyped-call]
    events = log(
        (K.RUN_START, 101, None, None),
        (K.RUN_RESUMED, 102.5, None, None),
        (K.RUN_FAILURE, 103, None, None),
    )

    assert OtlpSender(exporter).send(spans_of(traced(RunStatus.FAILURE), events))

    run, *rest = exporter.get_finished_spans()
    assert f"{run.context.trace_id:032x}" == TRACE
    assert [span.parent.span_id for span in rest if span.parent] == [run.context.span_id] * len(rest)
    assert (run.start_time, run.end_time) == (100_000_000_000, 103_000_000_000)
    assert run.status.status_code is StatusCode.ERROR
    assert [(e.name, e.timestamp) for e in run.events] == [("taken over", 102_500_000_000)]
    assert run.resource.attributes["service.name"] == "runplane"


def test_a_large_trace_is_sent_in_parts_and_one_that_is_refused_in_part_is_not_taken() -> None:
    sizes: list[int] = []

    class Refusing(InMemorySpanExporter):
        def export(self, spans: Sequence[object]) -> SpanExportResult:  # type: ignore[override]
            sizes.append(len(spans))
            return SpanExportResult.SUCCESS if len(sizes) == 1 else SpanExportResult.FAILURE

    lines = [(K.RUN_START, 1.0, None, None)]
    steps = [(kind, 2.0, f"s{i}", 1) for i in range(AT_ONCE) for kind in (K.STEP_WORKER_STARTED, K.STEP_SUCCESS)]

    taken = OtlpSender(Refusing()).send(spans_of(traced(), log(*lines, *steps)))  # type: ignore[no-untyped-call]

    assert not taken
    assert sizes == [AT_ONCE, 3]
