"""How attempts end, which of them are run again, and after what delay."""

from __future__ import annotations

import pytest

from engine_plans import plan_of, step
from engine_shell import Shell
from runplane.engine.commands import SealStep
from runplane.engine.retries import next_delay, with_jitter
from runplane.engine.snapshot import RetryPlan
from runplane.events.causes import OWN_BUDGETS, WITHOUT_RETRY, FailureCause
from runplane.events.kinds import EventKind


def one(retry: RetryPlan | int | None = None, **more: object) -> Shell:
    return Shell(plan_of(step("a", retry=retry, **more), step("b", "a")))


def test_a_step_that_asks_for_a_retry_waits_and_runs_as_the_next_attempt() -> None:
    shell = one()

    shell.asks_again("a", wait=7.5)

    assert shell.state("a") == "BACKOFF"
    assert shell.timers() == {"a": 1007.5}
    assert shell.issues() == []
    shell.wakes("a")
    assert shell.issues() == ["a"]
    shell.issued("a")
    assert shell.launches() == [("a", 2)]
    assert shell.engine.steps["a"].retries == 1


def test_a_timer_that_comes_early_or_late_or_twice_does_no_harm() -> None:
    shell = one()
    shell.asks_again("a", wait=5)

    shell.wakes("a", at=1004.0)
    assert shell.state("a") == "BACKOFF"
    shell.wakes("a", at=1020.0)
    assert shell.issues() == ["a"]
    shell.wakes("a", at=1021.0)
    assert shell.issues() == []


def test_a_failure_that_the_attempt_wrote_is_final() -> None:
    shell = one(retry=3)

    shell.fails("a")

    assert shell.state("a") == "FAILED", (
        "the attempt itself decides on its policy and writes STEP_UP_FOR_RETRY when there is budget"
    )


@pytest.mark.parametrize(
    "cause", [FailureCause.CRASHED, FailureCause.OUT_OF_MEMORY, FailureCause.FRAMEWORK, FailureCause.TIMED_OUT]
)
def test_an_attempt_that_died_uses_the_policy(cause: FailureCause) -> None:
    shell = one(retry=RetryPlan(1, delay_s=3.0))
    shell.runs("a")

    assert shell.gone("a", cause) == [SealStep("a", 1, cause, "exit code 9")]
    shell.sealed("a")
    assert shell.records() == [("STEP_UP_FOR_RETRY", "a")]
    assert shell.body_of(EventKind.STEP_UP_FOR_RETRY)["seconds_to_wait"] == 3.0
    shell.wakes("a")
    shell.runs("a")
    shell.dies("a", cause)

    assert shell.records() == [("STEP_FAILURE", "a"), ("STEP_ABANDONED", "b")]
    body = shell.body_of(EventKind.STEP_FAILURE)
    assert (body["cause"], body["error"]["message"], body["message"]) == (
        cause.value,
        "exit code 9\n",
        'Execution of step "a" failed.',
    )


def test_without_a_policy_a_crash_is_a_failure() -> None:
    shell = one()
    shell.runs("a")

    shell.dies("a")

    assert shell.state("a") == "FAILED"


def test_with_retries_disabled_a_crash_is_a_failure() -> None:
    shell = Shell(plan_of(step("a", retry=5)), retries_enabled=False)
    shell.runs("a")

    shell.dies("a")

    assert shell.state("a") == "FAILED"


@pytest.mark.parametrize("retries_enabled", [True, False])
def test_a_lost_attempt_runs_again_at_once_and_costs_the_user_nothing(retries_enabled: bool) -> None:
    shell = Shell(plan_of(step("a", retry=1)), retries_enabled=retries_enabled)
    shell.runs("a")

    shell.dies("a", FailureCause.LOST)

    assert shell.body_of(EventKind.STEP_UP_FOR_RETRY)["seconds_to_wait"] == 0.0
    shell.wakes("a")
    assert (shell.last[0].n, shell.last[0].retry_number) == (2, 0)  # type: ignore[union-attr]
    assert (shell.engine.steps["a"].retries, shell.engine.steps["a"].spent) == (0, {FailureCause.LOST: 1})


@pytest.mark.parametrize("cause", list(OWN_BUDGETS))
def test_a_step_that_is_lost_too_often_fails(cause: FailureCause) -> None:
    shell = one(retry=5)
    for _ in range(OWN_BUDGETS[cause]):
        shell.runs("a")
        shell.dies("a", cause)
        shell.wakes("a")

    shell.runs("a")
    shell.dies("a", cause)

    assert (shell.state("a"), shell.engine.steps["a"].n) == ("FAILED", OWN_BUDGETS[cause] + 1)


def test_five_evictions_and_one_error_are_counted_apart() -> None:
    shell = one(retry=1)
    for cause in (*[FailureCause.EVICTED] * 5, FailureCause.CRASHED):
        shell.runs("a")
        shell.dies("a", cause)
        shell.wakes("a")

    step_a = shell.engine.steps["a"]
    assert (step_a.n, step_a.retries, step_a.spent) == (6, 1, {FailureCause.EVICTED: 5})


@pytest.mark.parametrize("cause", sorted(WITHOUT_RETRY - {FailureCause.CANCELED}))
def test_what_would_end_the_same_way_again_is_not_tried_again(cause: FailureCause) -> None:
    shell = one(retry=5)
    shell.runs("a")

    shell.dies("a", cause)

    assert (shell.state("a"), shell.engine.steps["a"].n) == ("FAILED", 1)


def test_losses_and_the_users_retries_are_counted_apart() -> None:
    shell = one(retry=1)
    for cause in (FailureCause.LOST, FailureCause.CRASHED, FailureCause.LOST):
        shell.runs("a")
        shell.dies("a", cause)
        shell.wakes("a")
    shell.runs("a")
    shell.dies("a", FailureCause.CRASHED)

    assert shell.state("a") == "FAILED"


def test_an_attempt_that_can_never_be_started_fails_without_a_retry() -> None:
    shell = one(retry=5)
    shell.issued("a")

    assert shell.refused("a") == [SealStep("a", 1, FailureCause.LAUNCH_REFUSED, "no such image")]
    shell.sealed("a")

    assert shell.state("a") == "FAILED"


def test_an_attempt_that_dies_before_it_was_claimed_is_sealed_too() -> None:
    shell = one()
    shell.issued("a")

    shell.gone("a", FailureCause.LOST)

    assert shell.seals() == [("a", 1, "LOST")]


def test_a_seal_that_comes_too_late_finds_the_outcome() -> None:
    shell = one()
    shell.runs("a")
    shell.gone("a", FailureCause.LOST)

    shell.outputs("a", "result")
    shell.happens(EventKind.STEP_SUCCESS, "a")

    assert (shell.state("a"), shell.issues()) == ("SUCCEEDED", ["b"])


@pytest.mark.parametrize("outcome", ["fails", "asks_again"])
def test_a_late_outcome_of_any_kind_stands(outcome: str) -> None:
    shell = one()
    shell.issued("a")
    shell.gone("a", FailureCause.LOST)
    shell.claimed("a")

    getattr(shell, outcome)("a")

    assert shell.state("a") == {"fails": "FAILED", "asks_again": "BACKOFF"}[outcome]


def test_an_attempt_is_sealed_once_however_often_its_end_is_seen() -> None:
    shell = one()
    shell.runs("a")
    shell.gone("a")

    assert shell.gone("a") == []
    assert shell.refused("a") == []
    shell.sealed("a")
    assert shell.gone("a") == []


def test_the_end_of_an_older_attempt_means_nothing() -> None:
    shell = one()
    shell.asks_again("a")
    shell.wakes("a")
    shell.runs("a")

    assert shell.gone("a", n=1) == []
    assert shell.state("a") == "RUNNING"


def test_the_end_of_a_step_that_has_succeeded_means_nothing() -> None:
    shell = one()
    shell.succeeds("a")

    assert shell.gone("a") == []


def test_an_overdue_step_is_stopped_then_sealed_and_the_limit_is_the_cause() -> None:
    shell = one(retry=1, timeout_s=60.0)

    shell.runs("a")
    assert shell.timers() == {"a": 1060.0}
    shell.wakes("a")
    assert shell.stops() == [("a", "TIMED_OUT")]
    shell.gone("a", FailureCause.CRASHED)
    assert shell.seals() == [("a", 1, "TIMED_OUT")]
    shell.sealed("a")

    assert shell.body_of(EventKind.STEP_UP_FOR_RETRY)["cause"] == "TIMED_OUT"


def test_a_time_limit_counts_from_the_claim_of_each_attempt() -> None:
    shell = one(retry=1, timeout_s=60.0)
    shell.runs("a")
    shell.asks_again("a", wait=1000.0)
    shell.wakes("a")

    shell.runs("a")

    assert shell.timers()["a"] == shell.now + 60.0


def test_the_time_limit_of_an_attempt_does_not_cut_the_delay_after_it() -> None:
    shell = Shell(plan_of(step("a", retry=RetryPlan(1, delay_s=600.0), timeout_s=60.0)), confirms=False)
    shell.runs("a")
    shell.dies("a")
    record = shell.last[0]

    shell.wakes("a", at=1060.0)
    assert shell.issues() == [], "the old limit passed before the record was confirmed"
    shell.confirm(record)  # type: ignore[arg-type]

    assert shell.timers()["a"] == 1660.0


def test_a_retry_frees_the_steps_place_while_it_waits() -> None:
    from runplane.engine.limits import Limits

    shell = Shell(plan_of(step("a"), step("b")), Limits(max_concurrent=1))

    shell.asks_again("a", wait=60.0)

    assert shell.issues() == ["b"]


@pytest.mark.parametrize(
    ("policy", "delays"),
    [
        (RetryPlan(3, 2.0), [2.0, 2.0, 2.0]),
        (RetryPlan(3, 2.0, "LINEAR"), [2.0, 4.0, 6.0]),
        (RetryPlan(3, 2.0, "EXPONENTIAL"), [2.0, 6.0, 14.0]),
        (RetryPlan(3), [0.0, 0.0, 0.0]),
    ],
)
def test_delays_grow_as_the_policy_says(policy: RetryPlan, delays: list[float]) -> None:
    assert [next_delay(policy, n) for n in (1, 2, 3)] == delays


def test_jitter() -> None:
    assert with_jitter(RetryPlan(1, 10.0, jitter="FULL"), 30.0, 0.5) == 15.0
    assert with_jitter(RetryPlan(1, 10.0, jitter="PLUS_MINUS"), 30.0, 0.0) == 20.0
    assert with_jitter(RetryPlan(1, 10.0, jitter="PLUS_MINUS"), 30.0, 0.75) == 35.0
    assert with_jitter(RetryPlan(1, 10.0, jitter="PLUS_MINUS"), 5.0, 0.0) == 0.0
    assert with_jitter(RetryPlan(1, 10.0), 30.0, 0.9) == 30.0
