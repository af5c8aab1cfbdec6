"""A run's trace, from a real submission through a real daemon and worker to a collector; and user code stands in it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from runplane.events.status import RunStatus
from services.daemon_system import DaemonSystem
from services.otlp_collector import OtlpCollector

CODE = """
import os, sys
from runplane import job, op

@op
def first(context):
    say(context, "start", parent=os.environ.get("TRACEPARENT"), loaded="opentelemetry" in sys.modules)
    return 1

@op
def second(context, number):
    say(context, "start", parent=os.environ.get("TRACEPARENT"), loaded="opentelemetry" in sys.modules)

@job
def two():
    second(first())
"""
YAML = "run_queue: {max_concurrent_runs: 4}\n"
OUTSIDE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def collector() -> Iterator[OtlpCollector]:
    with OtlpCollector() as collector:
        yield collector


def run_two(system: DaemonSystem, **env: str) -> str:
    """Submit a run, and have a daemon with this environment launch it; the id of the run, which succeeded."""
    run_id = system.submit("two")
    system.daemon(**env)
    system.wait_for_status(run_id, RunStatus.SUCCESS, timeout_s=90)
    return run_id


def test_a_run_is_one_trace_and_user_code_stands_under_its_step(
    tmp_path: Path, collector: OtlpCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNPLANE_TRACING", "1")
    monkeypatch.setenv("TRACEPARENT", OUTSIDE)
    system = DaemonSystem(tmp_path, CODE, YAML)
    try:
        run_id = run_two(system, **collector.env)
        system.wait_for("the trace", lambda: len(collector.spans) >= 7, 60)
    finally:
        system.close()

    spans = {span.name: span for span in collector.spans}
    assert sorted(spans) == ["import", "launch", "queue", "run two", "step first", "step second", "submit"]
    assert {span.trace_id.hex() for span in collector.spans} == {OUTSIDE.split("-")[1]}
    run = spans.pop("run two")
    assert run.parent_span_id.hex() == OUTSIDE.split("-")[2]
    assert {span.parent_span_id for span in spans.values()} == {run.span_id}
    phases = [spans[name] for name in ("submit", "queue", "launch", "import")]
    assert all(a.end_time_unix_nano == b.start_time_unix_nano for a, b in itertools.pairwise(phases))
    for body in system.bodies(run_id):
        span = spans[f"step {body['step']}"]
        assert body["parent"] == f"00-{span.trace_id.hex()}-{span.span_id.hex()}-01"
        assert not body["loaded"], "a step loaded OpenTelemetry"
    assert collector.services == {"runplane"}


def test_tracing_is_off_unless_it_is_asked_for(tmp_path: Path, collector: OtlpCollector) -> None:
    system = DaemonSystem(tmp_path, CODE, YAML)
    (tmp_path / "opentelemetry.py").write_text("raise SystemExit('loaded')\n", encoding="utf-8")
    try:
        path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
        run_id = run_two(system, PYTHONPATH=path, **collector.env)
        tags = system.instance.runs.get(run_id).tags
    finally:
        system.close()

    assert not [tag for tag in tags if "trace" in tag]
    assert {body["parent"] for body in system.bodies(run_id)} == {None}
    assert collector.spans == []
