"""A run as its events tell it: statuses, waiting and working apart, the timeline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
import pytest

from runplane.cli.report import cause_words, print_failures, seconds, step_line, timeline
from runplane.cli.run_config_files import read_run_config, read_tags
from runplane.cli.story import RunStory, StepStatus, StepStory
from runplane.engine.snapshot import InputPlan, OutputPlan, OutputRef, PlanSnapshot, StepPlan
from runplane.events.event import Event
from runplane.events.run import Run
from runplane.events.status import RunStatus

A = StepPlan("a", "a", "a")
B = StepPlan("b", "b", "b", inputs=(InputPlan("x", (OutputRef("a", "result"),)),))
MAPPER = StepPlan("split", "split", "split", outputs=(OutputPlan("result", dynamic=True),))
MAPPED = StepPlan(
    "work[?]",
    "work",
    "work",
    inputs=(InputPlan("n", (OutputRef("split", "result"),)),),
    mapped_over=OutputRef("split", "result"),
)
COLLECTOR = StepPlan(
    "total", "total", "total", inputs=(InputPlan("ns", (OutputRef("work[?]", "result"),), collect=True),)
)


class Told:
    """A story fed with events: ``at`` seconds after the start of the run."""

    def __init__(self, *steps: StepPlan) -> None:
        self.story = RunStory(PlanSnapshot("j", steps))
        self.seq = 0
        self.heard: Callable[[StepStory], None] = lambda _: None
        self(0, "RUN_START")

    def __call__(self, at: float, kind: str, step: str | None = None, n: int | None = None, **body: Any) -> None:
        self.seq += 1
        written_at = body.pop("written_at", at)
        changed = self.story.take(Event("r", self.seq, kind, step, n, body, 1000 + written_at, 1000 + at))
        if changed is not None:
            self.heard(changed)

    def attempt(self, step: str, n: int, issued: float, began: float, ended: float, outcome: str, **body: Any) -> None:
        """One whole attempt, claimed when it was issued."""
        self(issued, "STEP_ISSUED", step, n)
        self(issued, "STEP_WORKER_STARTED", step, n)
        self(ended, "STEP_START", step, n, written_at=began)
        self(ended, outcome, step, n, **body)

    def spans(self, step: str) -> list[tuple[str, float]]:
        found = self.story.spans(self.story.steps[step])
        return [("work" if s.works else "wait", round(s.seconds, 6)) for s in found]


def test_a_step_waits_from_the_moment_its_inputs_are_there() -> None:
    told = Told(A, B)
    told.attempt("a", 1, issued=1, began=2, ended=5, outcome="STEP_SUCCESS")
    told.attempt("b", 1, issued=7, began=8, ended=9, outcome="STEP_SUCCESS")

    assert told.spans("a") == [("wait", 2), ("work", 3)]
    assert told.spans("b") == [("wait", 3), ("work", 1)]


def test_the_delay_of_a_retry_is_waiting() -> None:
    told = Told(A)
    told.attempt("a", 1, 0, 0, 1, "STEP_UP_FOR_RETRY", seconds_to_wait=4)
    told.attempt("a", 2, 5, 5, 6, "STEP_SUCCESS")

    assert told.spans("a") == [("wait", 0), ("work", 1), ("wait", 4), ("work", 1)]


def test_a_mapped_step_waits_for_its_mapper_and_a_collector_for_all_mapped_steps() -> None:
    told = Told(MAPPER, MAPPED, COLLECTOR)
    told.attempt("split", 1, 0, 0, 1, "STEP_SUCCESS")
    told.attempt("work[x]", 1, 1, 1, 3, "STEP_SUCCESS")
    told.attempt("work[y]", 1, 2, 2, 6, "STEP_SUCCESS")
    told.attempt("total", 1, 6.5, 6.5, 7, "STEP_SUCCESS")

    assert told.spans("work[y]") == [("wait", 1), ("work", 4)]
    assert told.spans("total") == [("wait", 0.5), ("work", 0.5)]


@pytest.mark.parametrize("began", [-50.0, 50.0])
def test_another_clock_does_not_make_times_that_can_not_be(began: float) -> None:
    told = Told(A)
    told.attempt("a", 1, issued=1, began=began, ended=3, outcome="STEP_SUCCESS")

    waited, worked = told.spans("a")
    assert waited[1] + worked[1] == 3
    assert min(waited[1], worked[1]) >= 0


def test_a_step_that_runs_has_worked_until_now() -> None:
    told = Told(A)
    told(1, "STEP_ISSUED", "a", 1)
    told(1, "STEP_WORKER_STARTED", "a", 1)
    told(4, "ENGINE_EVENT")

    assert told.spans("a") == [("wait", 1), ("work", 3)]


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("STEP_SUCCESS", {}, StepStatus.SUCCEEDED),
        ("STEP_FAILURE", {"cause": "USER_CODE"}, StepStatus.FAILED),
        ("STEP_FAILURE", {"cause": "CANCELED"}, StepStatus.CANCELED),
        ("STEP_UP_FOR_RETRY", {"cause": "USER_RETRY"}, StepStatus.RETRYING),
        ("STEP_SEALED", {"cause": "LOST"}, StepStatus.LOST),
        ("STEP_SEALED", {"cause": "CANCELED"}, StepStatus.CANCELED),
        ("SOMETHING_NEW", {}, StepStatus.RUNNING),
    ],
)
def test_how_an_attempt_ends(kind: str, body: dict[str, Any], status: StepStatus) -> None:
    told = Told(A)
    told.attempt("a", 1, 0, 0, 1, kind, **body)

    assert told.story.steps["a"].status is status


def test_of_a_lost_attempt_only_what_follows_is_told() -> None:
    told = Told(A)
    lines = []
    told.heard = lambda step: lines.append(step_line(told.story, step).split("a  ")[1])

    told.attempt("a", 1, 0, 0, 1, "STEP_SEALED", cause="CRASHED")
    told.attempt("a", 2, 1, 1, 2, "STEP_SEALED", cause="CRASHED")
    told(2, "STEP_FAILURE", "a", 2, cause="CRASHED")

    words = [click.unstyle(line) for line in lines]
    again = "to be retried: its process ended without an outcome"
    assert words == ["running", again, "running, attempt 2", "failed after 2.00 s, attempt 2"]


def test_steps_that_never_ran() -> None:
    told = Told(A, B)
    told(1, "STEP_SKIPPED", "a", None, because=["x.result"])
    told(1, "STEP_ABANDONED", "b", None, because=["a"])

    assert [s.status for s in told.story.steps.values()] == [StepStatus.SKIPPED, StepStatus.NOT_RUN]
    assert told.spans("a") == []


def test_a_failed_run_keeps_its_reason() -> None:
    told = Told(A)
    told(2, "RUN_FAILURE", message="no", error={"message": "E\n"})

    assert told.story.status is RunStatus.FAILURE
    assert told.story.ended_at == 1002
    assert told.story.run_error == {"message": "E\n"}


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("/tmp/report.html", [("where", "/tmp/report.html")]),
        ("https://x.y/z", [("where", "https://x.y/z")]),
        ({"type": "path", "value": "/a/b"}, [("where", "/a/b")]),
        ("just text", []),
        (3, []),
        (None, []),
    ],
)
def test_metadata_that_names_a_place_is_shown(value: Any, found: list[tuple[str, str]]) -> None:
    told = Told(A)
    told(1, "STEP_OUTPUT", "a", 1, output="result", metadata={"where": value})

    assert told.story.steps["a"].found == found


def test_a_failure_says_what_its_code_said_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    told = Told(A)
    said = {"rows": 3, "where": {"__class__": "UrlMetadataEntryData", "url": "https://x.y/z"}}
    failure = {"label": "intentional-failure", "description": "bad rows", "metadata": said}
    told.attempt("a", 1, 0, 0, 5, "STEP_FAILURE", cause="USER_CODE", user_failure=failure)

    print_failures(told.story, Run(run_id="r" * 36, job_name="job"))

    _, first, *more = capsys.readouterr().out.splitlines()
    assert first == "Step a failed: bad rows"
    assert more[:2] == ["    rows: 3", "    where: https://x.y/z"]


def test_the_timeline_draws_waiting_and_working_to_scale() -> None:
    told = Told(A, B)
    told.attempt("a", 1, 0, 0, 5, "STEP_SUCCESS")
    told.attempt("b", 1, 5, 8, 10, "STEP_SUCCESS")
    told(10, "RUN_SUCCESS")

    head, a, b = map(click.unstyle, timeline(told.story, columns=32 + 10))

    assert "waited" in head
    assert a.split()[:5] == ["a", "0", "ms", "5.00", "s"]
    assert a.endswith("  █████")
    assert b.endswith("       ···██")


def test_of_many_steps_the_timeline_shows_those_that_worked_longest() -> None:
    steps = [StepPlan(f"s{n}", f"s{n}", "s") for n in range(100)]
    told = Told(*steps)
    for n in range(100):
        told.attempt(f"s{n}", 1, 0, 0, n + 1, "STEP_SUCCESS")

    lines = timeline(told.story, columns=100)

    assert len(lines) == 42
    assert lines[-1] == "  ... and 60 steps that worked less"
    assert any(line.split()[0] == "s99" for line in lines)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 ms"), (0.0123, "12 ms"), (0.9996, "1.00 s"), (12.34, "12.3 s"), (123, "2 m 03 s"), (3723, "1 h 02 m")],
)
def test_times_in_words(value: float, text: str) -> None:
    assert seconds(value) == text


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            {"cause": "CRASHED", "evidence": "killed by SIGKILL"},
            "its process ended without an outcome (killed by SIGKILL)",
        ),
        (
            {"cause": "USER_CODE", "error": {"message": "Wrapper\n", "cause": {"message": "ValueError: x\n"}}},
            "ValueError: x",
        ),
        ({"cause": "USER_CODE", "user_failure": {"description": "too few rows"}}, "too few rows"),
        ({"cause": "NEW_CAUSE"}, "it failed"),
        (None, "it failed"),
    ],
)
def test_causes_in_words(body: dict[str, Any] | None, words: str) -> None:
    assert cause_words(body) == words


def test_of_several_config_files_the_first_wins_key_by_key(tmp_path) -> None:
    (tmp_path / "1.yaml").write_text("ops: {a: {config: {x: 1}}}\n")
    (tmp_path / "2.yaml").write_text("ops: {a: {config: {x: 2, y: 2}}, b: {}}\nresources: {}\n")
    (tmp_path / "3.yaml").write_text("")

    merged = read_run_config((str(tmp_path / "*.yaml"),), None)

    assert merged == {"ops": {"a": {"config": {"x": 1, "y": 2}}, "b": {}}, "resources": {}}


def test_dates_of_config_files_stay_text(tmp_path) -> None:
    (tmp_path / "c.yaml").write_text("day: 2026-01-01\n")

    assert read_run_config((str(tmp_path / "c.yaml"),), None) == {"day": "2026-01-01"}


def test_nothing_given_is_nothing() -> None:
    assert read_run_config((), None) is None
    assert read_tags(None) == {}
