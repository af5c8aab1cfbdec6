"""``require_upstream_step_success: false``: a step starts when what it needs exists, not when who made it has ended."""

from __future__ import annotations

from engine_plans import collect, fan_in, known, mapped_plan, plan_of, step
from engine_shell import Shell
from runplane.engine.limits import Limits


def eager(*steps: object, limits: Limits | None = None) -> Shell:
    return Shell(plan_of(*steps), limits, eager=True)  # type: ignore[arg-type]


def test_a_step_starts_from_an_output_of_a_step_that_still_runs() -> None:
    shell = eager(step("a", out=["early", "late"]), step("b", "a.early"), step("c", "a.late"))
    shell.runs("a")

    shell.outputs("a", "early")

    assert shell.issues() == ["b"]
    assert [o.output for o in shell.engine.inputs_of("b")["in0"]] == ["early"]


def test_it_needs_all_its_inputs() -> None:
    shell = eager(step("a"), step("b"), step("c", "a", fan_in("a", "b")))
    shell.runs("a", "b")

    shell.outputs("a", "result")
    assert shell.issues() == []
    shell.outputs("b", "result")

    assert shell.issues() == ["c"]


def test_what_ended_well_before_counts() -> None:
    shell = eager(step("a"), step("b"), step("c", "a", "b"))
    shell.succeeds("a")
    shell.runs("b")

    shell.outputs("b", "result")

    assert shell.issues() == ["c"]


def test_what_an_earlier_run_made_counts() -> None:
    shell = Shell(plan_of(step("b"), step("c", "a", "b"), known=[known("a")]), eager=True)
    shell.runs("b")

    shell.outputs("b", "result")

    assert shell.issues() == ["c"]


def test_it_starts_once() -> None:
    shell = eager(step("a"), step("b", "a"))
    shell.runs("a")
    shell.outputs("a", "result")
    shell.issued("b")

    shell.succeeds("a")

    assert shell.issues() == []
    assert shell.state("b") == "ISSUED"


def test_it_goes_on_when_who_made_its_input_fails_later() -> None:
    shell = eager(step("a"), step("b", "a"), limits=Limits(max_concurrent=1))
    shell.runs("a")
    shell.outputs("a", "result")

    shell.fails("a")

    assert shell.issues() == ["b"]
    assert [o.step for o in shell.engine.inputs_of("b")["in0"]] == ["a"], "its input is still there"


def test_who_waits_for_something_that_will_not_come_is_abandoned() -> None:
    shell = eager(step("a"), step("b"), step("c", "a", "b"))
    shell.runs("a", "b")
    shell.outputs("a", "result")

    shell.fails("b")
    shell.succeeds("a")

    assert shell.state("c") == "ABANDONED"


def test_dynamic_outputs_are_awaited_to_the_end() -> None:
    shell = Shell(mapped_plan(), eager=True)
    shell.runs("make")
    shell.outputs("make", "many/x")
    assert shell.issues() == []

    shell.outputs("make", "many/y")
    shell.succeeds("make", "many/z")

    assert shell.issues() == ["work[x]", "work[y]", "work[z]"]


def test_a_collector_waits_for_all_mapped_steps() -> None:
    shell = Shell(mapped_plan(), eager=True)
    shell.succeeds("make", "many/x", "many/y")
    shell.runs("work[x]", "work[y]")
    shell.outputs("work[x]", "result")
    shell.outputs("work[y]", "result")
    assert shell.issues() == []

    shell.succeeds("work[x]")
    shell.succeeds("work[y]")

    assert shell.issues() == ["gather"]


def test_a_collected_dynamic_output_is_complete_when_its_step_has_ended_even_if_another_input_comes_from_one_that_runs() -> (
    None
):
    shell = eager(step("make", out=["many*"]), step("b"), step("c", collect("make.many"), "b"))
    shell.runs("b")
    shell.outputs("b", "result")

    shell.succeeds("make", "many/x")

    assert shell.issues() == ["c"]


def test_a_second_attempt_replaces_what_the_first_one_made() -> None:
    shell = eager(step("a", retry=1), step("b", "a"), limits=Limits(max_concurrent=1))
    shell.runs("a")
    shell.outputs("a", "result")
    shell.dies("a")
    shell.wakes("a")

    assert shell.state("b") == "READY"
    assert len(shell.engine.inputs_of("b")["in0"]) == 1


def test_nothing_starts_early_in_a_run_that_is_to_end() -> None:
    shell = eager(step("a"), step("b", "a"))
    shell.runs("a")
    shell.ends()

    shell.outputs("a", "result")

    assert shell.issues() == []


def test_a_coordinator_that_takes_over_starts_the_same_steps() -> None:
    shell = eager(step("a"), step("b", "a"))
    shell.runs("a")
    shell.outputs("a", "result")

    assert shell.taken_over().issues() == ["b"]
