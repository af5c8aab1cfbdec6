"""Which steps run, in which order, and which do not: the engine on plain steps."""

from __future__ import annotations

import pytest

from engine_plans import fan_in, plan_of, step
from engine_shell import Shell
from runplane.engine.commands import IssueStep
from runplane.engine.snapshot import InputPlan
from runplane.errors import ConflictError
from runplane.events.kinds import EventKind


def diamond() -> Shell:
    return Shell(plan_of(step("a"), step("b", "a"), step("c", "a"), step("d", "b", "c")))


def test_a_run_starts_with_what_waits_for_nothing() -> None:
    shell = Shell(plan_of(step("a"), step("b"), step("c", "a")))

    assert shell.issues() == ["a", "b"]


def test_an_issue_says_the_attempt_the_retries_the_pools_and_the_priority() -> None:
    shell = Shell(plan_of(step("a", pools=("db",), priority=3)))

    assert shell.last == [IssueStep("a", 1, 0, ("db",), 3)]


def test_a_step_runs_when_all_it_takes_from_has_ended_and_not_before() -> None:
    shell = diamond()

    shell.succeeds("a")
    assert shell.issues() == ["b", "c"]
    shell.succeeds("b")
    assert shell.issues() == []
    shell.succeeds("c")
    assert shell.issues() == ["d"]


def test_an_output_alone_starts_nobody() -> None:
    shell = diamond()
    shell.runs("a")

    shell.outputs("a", "result")

    assert shell.issues() == []


def test_a_run_ends_well_when_its_last_step_has() -> None:
    shell = Shell(plan_of(step("a")))

    shell.succeeds("a")

    end = shell.end()
    assert end is not None
    assert end.kind is EventKind.RUN_SUCCESS
    assert end.body["message"] == 'Finished execution of run for "j".'


def test_an_empty_plan_ends_well_at_once() -> None:
    end = Shell(plan_of()).end()

    assert end is not None
    assert end.kind is EventKind.RUN_SUCCESS


def test_a_failure_abandons_what_is_below_and_lets_the_rest_run() -> None:
    shell = Shell(plan_of(step("a"), step("b", "a"), step("c", "b"), step("x")))

    shell.fails("a")

    assert shell.records() == [("STEP_ABANDONED", "b"), ("STEP_ABANDONED", "c")]
    assert shell.body_of(EventKind.STEP_ABANDONED)["message"] == "Dependencies for step c failed: ['b']. Not executing."
    assert shell.end() is None
    shell.succeeds("x")
    end = shell.end()
    assert end is not None
    assert end.kind is EventKind.RUN_FAILURE
    assert (end.body["reason"], end.body["failed"]) == ("STEP_FAILURE", ["a"])
    assert end.body["message"] == "Execution of run for \"j\" failed. Steps failed: ['a']."


def test_failed_steps_are_named_in_the_order_they_failed() -> None:
    shell = Shell(plan_of(step("a"), step("b"), step("c")))

    shell.fails("c")
    shell.fails("a")
    shell.succeeds("b")

    assert shell.engine.failed_steps == ["c", "a"]


def test_a_skip_is_recorded_before_the_next_step_starts() -> None:
    shell = Shell(plan_of(step("a", out=["maybe?", "sure"]), step("b", "a.maybe"), step("c", "a.sure")))

    shell.succeeds("a", "sure")

    kinds = [type(c).__name__ for c in shell.last]
    assert kinds == ["Record", "IssueStep"]


def test_a_missing_output_skips_and_skips_propagate() -> None:
    shell = Shell(plan_of(step("a", out=["maybe?"]), step("b", "a.maybe"), step("c", "b")))

    shell.succeeds_without("a")

    assert shell.records() == [("STEP_SKIPPED", "b"), ("STEP_SKIPPED", "c")]
    assert shell.body_of(EventKind.STEP_SKIPPED) == {
        "because": ["b.result"],
        "message": "Skipping step c due to skipped dependencies: ['b.result'].",
    }
    assert shell.end() is not None


def test_a_skip_beats_an_abandon() -> None:
    shell = Shell(plan_of(step("bad"), step("a", out=["maybe?"]), step("b", "bad", "a.maybe")))

    shell.fails("bad")
    shell.succeeds_without("a")

    assert shell.state("b") == "SKIPPED", "one failed and one skipped input: skipped"


def test_a_fan_in_runs_with_what_exists() -> None:
    shell = Shell(plan_of(step("a"), step("b", out=["maybe?"]), step("c", fan_in("a", "b.maybe"))))

    shell.succeeds("a")
    shell.succeeds_without("b")

    assert shell.issues() == ["c"]
    assert [o.step for o in shell.engine.inputs_of("c")["list"]] == ["a"]


def test_a_fan_in_is_skipped_only_when_everything_is_missing() -> None:
    shell = Shell(
        plan_of(step("a", out=["maybe?"]), step("b", out=["maybe?"]), step("c", fan_in("a.maybe", "b.maybe")))
    )

    shell.succeeds_without("a")
    shell.succeeds_without("b")

    assert shell.state("c") == "SKIPPED"


@pytest.mark.parametrize("other", ["exists", "missing"])
def test_a_fan_in_with_a_failed_source_is_abandoned(other: str) -> None:
    shell = Shell(plan_of(step("a"), step("b", out=["maybe?"]), step("c", fan_in("a", "b.maybe"))))

    shell.fails("a")
    shell.succeeds("b", "maybe") if other == "exists" else shell.succeeds_without("b")

    assert shell.state("c") == "ABANDONED"


def test_two_inputs_from_one_step_are_one_thing_to_wait_for() -> None:
    shell = Shell(plan_of(step("a", out=["x", "y"]), step("b", "a.x", "a.y", fan_in("a.x", "a.y"))))

    shell.succeeds("a", "x", "y")

    assert shell.issues() == ["b"]


def test_an_input_without_sources_never_waits_and_is_not_among_the_values() -> None:
    shell = Shell(plan_of(step("a", InputPlan("from_config"))))

    assert shell.issues() == ["a"]
    assert shell.engine.inputs_of("a") == {}


def test_what_a_failed_attempt_produced_is_not_an_input() -> None:
    shell = Shell(plan_of(step("a", out=["maybe?"]), step("b", "a.maybe")))
    shell.runs("a")
    shell.outputs("a", "maybe")
    shell.asks_again("a")
    shell.wakes("a")

    shell.succeeds_without("a")

    assert shell.state("b") == "SKIPPED"


def test_steps_start_in_plan_order_or_by_priority() -> None:
    shell = Shell(plan_of(step("a"), step("b", priority=-1), step("c", priority=5), step("d")))

    assert shell.issues() == ["c", "a", "d", "b"]


def test_annotations_and_unknown_kinds_move_nothing() -> None:
    shell = Shell(plan_of(step("a")))

    assert shell.happens(EventKind.LOG, "nobody", 1, message="hello") == []
    assert shell.engine.handle(shell.log[-1].__class__("A_KIND_OF_NEXT_YEAR", "a", 7)) == []
    assert shell.state("a") == "READY"


def test_a_wrong_arc_tells_the_story() -> None:
    shell = Shell(plan_of(step("a")))
    shell.succeeds("a")

    with pytest.raises(ConflictError) as caught:
        shell.claimed("a")

    assert str(caught.value) == (
        "step a: 'STEP_WORKER_STARTED' makes no sense for a step that is SUCCEEDED. So far: attempt 1: WAITING; "
        "dependencies met -> READY; STEP_ISSUED -> ISSUED; STEP_WORKER_STARTED -> RUNNING; STEP_SUCCESS -> SUCCEEDED"
    )
    assert shell.engine.explain("a") in str(caught.value)


def test_a_fact_of_an_older_attempt_is_refused() -> None:
    shell = Shell(plan_of(step("a", retry=1)))
    shell.asks_again("a")
    shell.wakes("a")
    shell.runs("a")

    with pytest.raises(ConflictError, match="STEP_SUCCESS of attempt 1, but attempt 2 is the newest"):
        shell.happens(EventKind.STEP_SUCCESS, "a", 1)


def test_a_fact_of_a_step_that_the_plan_does_not_have_is_refused() -> None:
    with pytest.raises(ConflictError, match="step b: STEP_SUCCESS of a step that the plan does not have"):
        Shell(plan_of(step("a"))).happens(EventKind.STEP_SUCCESS, "b", 1)


def test_what_another_version_recorded_is_believed() -> None:
    shell = Shell(plan_of(step("a"), step("b", "a"), step("c", "b"), step("d", "a"), step("e", "d")))

    shell.happens(EventKind.STEP_SKIPPED, "b", None)
    shell.happens(EventKind.STEP_ABANDONED, "d", None)

    assert shell.states() == {"a": "READY", "b": "SKIPPED", "c": "SKIPPED", "d": "ABANDONED", "e": "ABANDONED"}
