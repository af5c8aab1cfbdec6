"""Another coordinator goes on from the log alone: what it does at once, and what it does not do again."""

from __future__ import annotations

import pytest

from engine_plans import mapped_plan, plan_of, step
from engine_shell import Shell
from runplane.engine.commands import FinishRun, Happened, IssueStep, ProbeStep, Record, WakeAt
from runplane.engine.snapshot import RetryPlan
from runplane.events.causes import FailureCause
from runplane.events.kinds import EventKind


def line(**more: object) -> Shell:
    return Shell(plan_of(step("a", **more), step("b", "a")), confirms=False)


def test_nothing_stored_is_a_fresh_start() -> None:
    assert line().taken_over().last == [IssueStep("a", 1, 0, (), 0)]


@pytest.mark.parametrize("claimed", [False, True])
def test_what_was_in_flight_is_probed_and_not_issued_again(claimed: bool) -> None:
    shell = line()
    shell.issued("a")
    if claimed:
        shell.claimed("a")

    assert shell.taken_over().last == [ProbeStep("a", 1)]


def test_an_attempt_that_is_gone_is_sealed_and_runs_as_the_next_number() -> None:
    other = two_attempts().taken_over(confirms=True)

    other.dies("a", FailureCause.LOST)
    other.wakes("a")

    assert [(c.step, c.n) for c in other.last if isinstance(c, IssueStep)] == [("a", 3)]


def two_attempts() -> Shell:
    shell = Shell(plan_of(step("a", retry=2), step("b", "a")))
    shell.asks_again("a")
    shell.wakes("a")
    shell.runs("a")
    return shell


def test_attempts_and_budgets_are_counted_from_the_log() -> None:
    shell = Shell(plan_of(step("a", retry=1), step("b", "a")))
    for cause in (FailureCause.LOST, FailureCause.CRASHED):
        shell.runs("a")
        shell.dies("a", cause)
        shell.wakes("a")
    shell.runs("a")

    step_a = shell.taken_over().engine.steps["a"]

    assert (step_a.n, step_a.retries, sum(step_a.spent.values())) == (3, 1, 1)


def test_an_adopted_step_goes_on_as_if_nothing_had_happened() -> None:
    shell = line()
    shell.runs("a")
    shell.outputs("a", "result")

    other = shell.taken_over()
    other.happens(EventKind.STEP_SUCCESS, "a")

    assert other.issues() == ["b"]
    assert [o.step for o in other.engine.inputs_of("b")["in0"]] == ["a"]


def test_a_delay_counts_from_the_time_that_was_stored() -> None:
    shell = line()
    shell.asks_again("a", wait=60.0)
    shell.now += 45.0

    assert shell.taken_over().last == [WakeAt("a", 1060.0)]


def test_a_time_limit_counts_from_the_claim_that_was_stored() -> None:
    shell = line(timeout_s=60.0)
    shell.runs("a")

    assert shell.taken_over().last == [ProbeStep("a", 1), WakeAt("a", 1060.0)]


def test_a_success_whose_dependants_were_not_issued() -> None:
    shell = line()
    shell.succeeds("a")

    assert shell.taken_over().last == [IssueStep("b", 1, 0, (), 0)]


def test_a_skip_that_was_not_stored_is_recorded_again_and_one_that_was_is_not() -> None:
    plan = plan_of(step("a", out=["maybe?"]), step("b", "a.maybe"), step("c", "b"))
    shell = Shell(plan, confirms=False)
    shell.succeeds_without("a")
    skips = [c for c in shell.last if isinstance(c, Record)]
    shell.confirm(skips[0])

    other = shell.taken_over()

    assert other.records() == [("STEP_SKIPPED", "c")]
    assert other.end() is not None


def test_an_abandonment_that_was_not_stored_is_recorded() -> None:
    shell = line()
    shell.fails("a")

    assert shell.taken_over().records() == [("STEP_ABANDONED", "b")]


@pytest.mark.parametrize(
    ("retry", "record"), [(None, ("STEP_FAILURE", "a")), (RetryPlan(1, delay_s=5.0), ("STEP_UP_FOR_RETRY", "a"))]
)
def test_a_sealed_attempt_without_a_consequence_gets_one(retry: RetryPlan | None, record: tuple[str, str]) -> None:
    shell = line(retry=retry)
    shell.runs("a")
    shell.dies("a")

    other = shell.taken_over(confirms=True)

    assert other.records()[0] == record
    assert other.engine.steps["a"].retries == (1 if retry else 0)


@pytest.mark.parametrize("stored", ["STEP_FAILURE", "STEP_UP_FOR_RETRY"])
def test_the_consequence_that_was_stored_is_believed(stored: str) -> None:
    """The other coordinator may have had another version's budget, or have known of a cancel that the log shows elsewhere."""
    shell = line(retry=RetryPlan(1, delay_s=5.0) if stored == "STEP_FAILURE" else None)
    shell.runs("a")
    shell.dies("a")
    shell.log.append(Happened(stored, "a", 1, {"cause": "CRASHED", "seconds_to_wait": 5.0}, shell.now))

    other = shell.taken_over()

    assert other.state("a") == ("FAILED" if stored == "STEP_FAILURE" else "BACKOFF")
    assert stored not in [kind for kind, _ in other.records()]


def test_a_retry_that_was_stored_after_a_cancel_it_did_not_know_of() -> None:
    shell = line(retry=1)
    shell.runs("a")
    shell.log.append(Happened(EventKind.RUN_CANCELING, None, None, {"intent": "cancel"}, shell.now))
    shell.dies("a")
    shell.confirm(next(c for c in shell.last if isinstance(c, Record)))

    other = shell.taken_over()

    assert other.states() == {"a": "ABANDONED", "b": "ABANDONED"}
    assert other.records() == [("STEP_ABANDONED", "a"), ("STEP_ABANDONED", "b")]
    assert other.end() == FinishRun(EventKind.RUN_CANCELED, {"failed": []})


def test_a_step_that_a_cancel_abandoned_stays_so_when_the_log_first_tells_why_it_would_be_skipped() -> None:
    shell = Shell(plan_of(step("a", out=["maybe?"]), step("b", "a.maybe"), step("c", "b")))
    shell.succeeds_without("a")
    log = [f for f in shell.log if f.kind != "STEP_SKIPPED"]
    log.append(Happened(EventKind.RUN_CANCELING, None, None, {"intent": "cancel"}, shell.now))
    # Its coordinator knew of the cancel when it heard of the success.
    log += [Happened(EventKind.STEP_ABANDONED, key, None, {"because": ["intent"]}, shell.now) for key in ("b", "c")]

    other = shell.taken_over(log)

    assert other.states() == {"a": "SUCCEEDED", "b": "ABANDONED", "c": "ABANDONED"}
    assert other.last == [FinishRun(EventKind.RUN_CANCELED, {"failed": []})]


def test_what_the_log_does_not_say_of_a_canceled_run_is_not_derived_but_abandoned() -> None:
    shell = Shell(plan_of(step("a", out=["maybe?"]), step("b", "a.maybe")))
    shell.runs("a")
    shell.log.append(Happened(EventKind.RUN_CANCELING, None, None, {"intent": "cancel"}, shell.now))
    shell.log.append(Happened(EventKind.STEP_SUCCESS, "a", 1, {}, shell.now))

    other = shell.taken_over()

    assert other.records() == [("STEP_ABANDONED", "b")]


def test_a_skip_that_was_stored_after_a_cancel_it_did_not_know_of() -> None:
    shell = Shell(plan_of(step("a", out=["maybe?"]), step("b", "a.maybe")))
    shell.runs("a")
    shell.log.append(Happened(EventKind.RUN_CANCELING, None, None, {"intent": "cancel"}, shell.now))
    shell.succeeds_without("a")

    other = shell.taken_over()

    assert other.states() == {"a": "SUCCEEDED", "b": "SKIPPED"}
    assert other.last == [FinishRun(EventKind.RUN_CANCELED, {"failed": []})]


def test_a_run_that_was_being_canceled_is_stopped_again() -> None:
    shell = line()
    shell.runs("a")
    shell.ends()

    other = shell.taken_over()

    assert other.stops() == [("a", "CANCELED")]
    assert other.probes() == [("a", 1)]
    assert other.records() == [("STEP_ABANDONED", "b")]
    other.gone("a")
    assert other.seals() == [("a", 1, "CANCELED")]


def test_a_sealed_attempt_of_a_canceled_run_is_not_run_again() -> None:
    shell = line(retry=3)
    shell.runs("a")
    shell.ends()
    shell.dies("a")

    other = shell.taken_over()

    assert other.records() == [("STEP_ABANDONED", "b"), ("STEP_FAILURE", "a")]
    assert other.end() == FinishRun(EventKind.RUN_CANCELED, {"failed": ["a"]})


def test_an_end_that_was_not_stored_is_asked_for_again() -> None:
    shell = Shell(plan_of(step("a")))
    shell.succeeds("a")

    assert [type(c) for c in shell.taken_over().last] == [FinishRun]


def test_mapped_steps_come_back_from_the_log() -> None:
    shell = Shell(mapped_plan())
    shell.succeeds("make", "many/x", "many/y")
    shell.succeeds("work[x]")
    shell.runs("work[y]")

    other = shell.taken_over()

    assert other.probes() == [("work[y]", 1)]
    other.succeeds("work[y]")
    assert other.issues() == ["gather"]


def test_taking_over_is_taken_over_too() -> None:
    shell = two_attempts()

    third = shell.taken_over().taken_over().taken_over()

    assert third.last == shell.taken_over().last == [ProbeStep("a", 2)]


def test_an_issue_after_a_delay_is_read_without_its_wake_up() -> None:
    shell = two_attempts()

    assert shell.folded().state("a") == "RUNNING"
    assert shell.folded().engine.steps["a"].due is None


def test_a_record_that_is_heard_of_twice_changes_nothing() -> None:
    shell = Shell(plan_of(step("a", out=["maybe?"]), step("b", "a.maybe"), step("bad"), step("c", "bad")))
    shell.succeeds_without("a")
    shell.fails("bad")
    before = shell.states()

    for fact in [f for f in shell.log if f.kind in ("STEP_SKIPPED", "STEP_ABANDONED")]:
        shell.tell(fact)

    assert shell.states() == before
