"""A run that is to end: canceled by a person, over its deadline, or lost by its worker. In every state a step can be in."""

from __future__ import annotations

import pytest

from engine_plans import mapped_plan, plan_of, step
from engine_shell import Shell
from runplane.engine.commands import FinishRun
from runplane.engine.limits import Limits
from runplane.events.causes import FailureCause
from runplane.events.kinds import EventKind


def two(**more: object) -> Shell:
    return Shell(plan_of(step("a", retry=2, **more), step("b", "a")))


@pytest.mark.parametrize(
    ("intent", "kind"),
    [
        ("cancel", EventKind.RUN_CANCELED),
        ("deadline", EventKind.RUN_FAILURE),
        ("lost", EventKind.RUN_FAILURE),
    ],
)
def test_how_the_run_ends_follows_from_why_it_is_to_end(intent: str, kind: EventKind) -> None:
    shell = Shell(plan_of(step("a"), step("b", "a")), Limits(max_concurrent=0))

    shell.ends(intent)

    assert shell.end() == FinishRun(kind, {"failed": []})


def test_what_waits_is_abandoned_and_that_is_recorded() -> None:
    shell = two()
    shell.issued("a")

    shell.ends()

    assert shell.state("b") == "ABANDONED"
    assert shell.records() == [("STEP_ABANDONED", "b")]
    assert shell.body_of(EventKind.STEP_ABANDONED) == {"because": ["intent"]}


def test_a_ready_step_is_abandoned_and_nothing_is_issued_any_more() -> None:
    shell = Shell(plan_of(step("a"), step("b")), Limits(max_concurrent=1))
    shell.runs("a")

    shell.ends()
    shell.succeeds("a")

    assert shell.state("b") == "ABANDONED"
    assert shell.issues() == []


def test_an_issue_on_its_way_that_is_refused_is_abandoned() -> None:
    shell = two()

    shell.ends()
    assert shell.end() is None, "the run waits for the answer"
    shell.pools_full("a")

    assert shell.state("a") == "ABANDONED"
    assert shell.end() is not None


def test_an_issue_on_its_way_that_is_accepted_is_sealed_and_never_launched() -> None:
    shell = two()

    shell.ends()
    shell.issued("a")
    assert shell.launches() == []
    assert shell.seals() == [("a", 1, "CANCELED")]
    shell.claimed("a")
    shell.sealed("a")

    assert shell.state("a") == "FAILED"
    assert shell.end() is not None


@pytest.mark.parametrize("claimed", [False, True])
def test_a_step_in_flight_is_stopped_and_sealed_when_it_is_gone(claimed: bool) -> None:
    shell = two()
    shell.issued("a")
    if claimed:
        shell.claimed("a")

    shell.ends()
    assert shell.stops() == [("a", "CANCELED")]
    assert shell.end() is None
    shell.gone("a", FailureCause.CRASHED)
    assert shell.seals() == [("a", 1, "CANCELED")]
    shell.sealed("a")

    assert shell.records() == [("STEP_FAILURE", "a")]
    assert shell.body_of(EventKind.STEP_FAILURE)["cause"] == "CANCELED"
    assert shell.end() == FinishRun(EventKind.RUN_CANCELED, {"failed": ["a"]})


def test_a_success_in_the_last_moment_stands() -> None:
    shell = two()
    shell.runs("a")
    shell.ends()

    shell.succeeds("a")

    assert shell.states() == {"a": "SUCCEEDED", "b": "ABANDONED"}
    assert shell.end() == FinishRun(EventKind.RUN_CANCELED, {"failed": []})


def test_a_claim_that_was_stored_before_the_cancel_and_heard_after_it_is_taken() -> None:
    shell = two(timeout_s=60.0)
    shell.issued("a")
    shell.ends()

    shell.claimed("a")

    assert shell.state("a") == "SEALING"
    assert shell.timers() == {}, "it is being stopped already"


def test_a_step_that_can_not_be_started_and_is_to_be_stopped_is_sealed() -> None:
    shell = two()
    shell.issued("a")
    shell.ends()

    shell.refused("a")

    assert shell.seals() == [("a", 1, "CANCELED")]


def test_no_budget_counts_when_the_run_is_to_end() -> None:
    for cause in (FailureCause.LOST, FailureCause.CRASHED):
        shell = two()
        shell.runs("a")
        shell.gone("a", cause)
        shell.ends()

        shell.sealed("a")

        assert shell.state("a") == "FAILED"
        assert shell.end() is not None


def test_a_delay_is_cut() -> None:
    shell = two()
    shell.asks_again("a", wait=60.0)

    shell.ends()

    assert shell.state("a") == "ABANDONED"
    assert shell.end() is not None
    assert shell.wakes("a") == []


def test_a_step_that_asks_again_while_it_is_stopped_is_abandoned() -> None:
    shell = two()
    shell.runs("a")
    shell.ends()

    shell.asks_again("a")

    assert shell.state("a") == "ABANDONED"


def test_a_cancel_between_a_sealed_attempt_and_its_record() -> None:
    shell = Shell(plan_of(step("a", retry=1)), confirms=False)
    shell.runs("a")
    shell.dies("a")
    (record,) = [c for c in shell.last if c.__class__.__name__ == "Record"]

    shell.ends()
    assert shell.end() is not None
    shell.confirm(record)  # type: ignore[arg-type]

    assert shell.state("a") == "ABANDONED"


def test_a_step_over_its_time_limit_keeps_that_cause() -> None:
    shell = two(timeout_s=60.0)
    shell.runs("a")
    shell.wakes("a")

    shell.ends()
    shell.gone("a")

    assert shell.seals() == [("a", 1, "TIMED_OUT")]


def test_a_cancel_while_the_end_is_on_its_way_decides_anew() -> None:
    shell = Shell(plan_of(step("a")))
    shell.succeeds("a")

    shell.ends()

    assert shell.last == [FinishRun(EventKind.RUN_CANCELED, {"failed": []})]


def test_the_first_intent_stands() -> None:
    shell = two()
    shell.runs("a")
    shell.ends("deadline")

    assert shell.ends("cancel") == []
    shell.dies("a")

    end = shell.end()
    assert end is not None
    assert end.kind is EventKind.RUN_FAILURE


def test_templates_end_too_and_a_mapper_that_still_succeeds_maps_nothing() -> None:
    shell = Shell(mapped_plan())
    shell.runs("make")

    shell.ends()
    shell.succeeds("make", "many/x")

    assert shell.states() == {"make": "SUCCEEDED", "gather": "ABANDONED"}
    assert shell.end() is not None


def test_mapped_steps_end_like_any_other() -> None:
    shell = Shell(mapped_plan(), Limits(max_concurrent=1))
    shell.succeeds("make", "many/x", "many/y")
    shell.runs("work[x]")

    shell.ends()
    shell.dies("work[x]")

    assert shell.states() == {"make": "SUCCEEDED", "work[x]": "FAILED", "work[y]": "ABANDONED", "gather": "ABANDONED"}
    assert shell.end() is not None


def test_a_cancel_that_is_read_in_the_log_is_a_cancel() -> None:
    shell = two()
    shell.runs("a")

    shell.happens(EventKind.RUN_CANCELING, None, intent="deadline")

    assert shell.engine.intent == "deadline"
    assert shell.stops() == [("a", "CANCELED")]
