"""Dynamic outputs: one copy of a template per mapping key, chains of them, and who collects them."""

from __future__ import annotations

from engine_plans import collect, known, mapped_plan, plan_of, step
from engine_shell import Shell


def values(shell: Shell, key: str, name: str = "collected") -> list[tuple[str, str | None]]:
    return [(o.step, o.mapping_key) for o in shell.engine.inputs_of(key)[name]]


def test_each_mapping_key_makes_a_step() -> None:
    shell = Shell(mapped_plan())

    shell.succeeds("make", "many/x", "many/y")

    assert shell.issues() == ["work[x]", "work[y]"]
    assert values(shell, "work[y]", "in0") == [("make", "y")]


def test_the_template_itself_never_runs() -> None:
    shell = Shell(mapped_plan())

    shell.succeeds("make", "many/x")

    assert "work[?]" not in shell.issues()


def test_a_collector_runs_after_all_mapped_steps_and_takes_them_in_mapping_order() -> None:
    shell = Shell(mapped_plan())
    shell.succeeds("make", "many/x", "many/y", "many/z")

    shell.succeeds("work[z]")
    shell.succeeds("work[x]")
    assert shell.issues() == []
    shell.succeeds("work[y]")

    assert shell.issues() == ["gather"]
    assert values(shell, "gather") == [("work[x]", None), ("work[y]", None), ("work[z]", None)]


def test_no_mapping_key_lets_the_collector_run_with_an_empty_list() -> None:
    shell = Shell(mapped_plan())

    shell.succeeds_without("make")

    assert shell.issues() == ["gather"]
    assert values(shell, "gather") == []


def test_an_optional_dynamic_output_with_nothing_skips_the_collector() -> None:
    shell = Shell(mapped_plan(mapper_out="many*?"))

    shell.succeeds_without("make")

    assert shell.records() == [("STEP_SKIPPED", "gather")]


def test_an_optional_dynamic_output_with_something_maps() -> None:
    shell = Shell(mapped_plan(mapper_out="many*?"))

    shell.succeeds("make", "many/x")
    shell.succeeds("work[x]")

    assert shell.issues() == ["gather"]


def test_a_failed_mapper_abandons_template_and_collector() -> None:
    shell = Shell(mapped_plan())

    shell.fails("make")

    assert shell.records() == [("STEP_ABANDONED", "gather")]
    assert shell.end() is not None


def test_a_skipped_mapper_skips_the_collector() -> None:
    plan = mapped_plan()
    optional = step("first", out=["maybe?"])
    make = step("make", "first.maybe", out=["many*"])
    shell = Shell(plan_of(optional, make, *plan.steps[1:]))

    shell.succeeds_without("first")

    assert shell.records() == [("STEP_SKIPPED", "make"), ("STEP_SKIPPED", "gather")]
    assert shell.end() is not None


def test_a_failed_mapped_step_abandons_the_collector_when_all_have_ended() -> None:
    shell = Shell(mapped_plan())
    shell.succeeds("make", "many/x", "many/y")

    shell.fails("work[x]")
    assert shell.records() == []
    shell.succeeds("work[y]")

    assert shell.records() == [("STEP_ABANDONED", "gather")]


def test_mapped_steps_that_produce_nothing_are_left_out() -> None:
    shell = Shell(mapped_plan(work_out="maybe?"))
    shell.succeeds("make", "many/x", "many/y")

    shell.succeeds_without("work[x]")
    shell.succeeds("work[y]", "maybe")

    assert shell.issues() == ["gather"]
    assert values(shell, "gather") == [("work[y]", None)]


def test_the_collector_is_skipped_when_no_mapped_step_produced_anything() -> None:
    shell = Shell(mapped_plan(work_out="maybe?"))
    shell.succeeds("make", "many/x", "many/y")

    shell.succeeds_without("work[x]")
    shell.succeeds_without("work[y]")

    assert shell.records() == [("STEP_SKIPPED", "gather")]


def chain() -> Shell:
    return Shell(
        plan_of(
            step("make", out=["many*"]),
            step("one[?]", "make.many", over="make.many", out=["maybe?"]),
            step("two[?]", "one[?].maybe", over="make.many"),
            step("gather", collect("two[?]")),
        )
    )


def test_a_chain_of_mapped_steps_goes_on_key_by_key() -> None:
    shell = chain()
    shell.succeeds("make", "many/x", "many/y")

    shell.succeeds("one[y]", "maybe")

    assert shell.issues() == ["two[y]"]
    assert values(shell, "two[y]", "in0") == [("one[y]", None)]


def test_a_skip_in_a_chain_stays_in_its_key() -> None:
    shell = chain()
    shell.succeeds("make", "many/x", "many/y")

    shell.succeeds_without("one[x]")
    shell.succeeds("one[y]", "maybe")
    shell.succeeds("two[y]")

    assert shell.state("two[x]") == "SKIPPED"
    assert values(shell, "gather") == [("two[y]", None)]


def test_a_failure_in_a_chain_stays_in_its_key_and_reaches_the_collector() -> None:
    shell = chain()
    shell.succeeds("make", "many/x", "many/y")

    shell.fails("one[x]")
    shell.succeeds("one[y]", "maybe")
    shell.succeeds("two[y]")

    assert (shell.state("two[x]"), shell.state("two[y]"), shell.state("gather")) == (
        "ABANDONED",
        "SUCCEEDED",
        "ABANDONED",
    )


def test_a_mapped_step_waits_for_a_plain_one_too() -> None:
    shell = Shell(
        plan_of(
            step("make", out=["many*"]),
            step("slow"),
            step("work[?]", "make.many", "slow", over="make.many"),
            step("gather", collect("work[?]")),
        )
    )
    shell.succeeds("make", "many/x")
    assert shell.issues() == []

    shell.succeeds("slow")

    assert shell.issues() == ["work[x]"]


def test_a_mapped_step_whose_other_input_is_missing_already_is_skipped_at_birth() -> None:
    shell = Shell(
        plan_of(
            step("make", out=["many*"]),
            step("other", out=["maybe?"]),
            step("work[?]", "make.many", "other.maybe", over="make.many"),
            step("gather", collect("work[?]")),
        )
    )
    shell.succeeds_without("other")

    shell.succeeds("make", "many/x", "many/y")

    assert shell.records() == [("STEP_SKIPPED", "work[x]"), ("STEP_SKIPPED", "work[y]"), ("STEP_SKIPPED", "gather")]


def test_several_templates_over_one_mapper() -> None:
    shell = Shell(
        plan_of(
            step("make", out=["many*"]),
            step("left[?]", "make.many", over="make.many"),
            step("right[?]", "make.many", over="make.many"),
            step("both", collect("left[?]"), collect("right[?]")),
        )
    )

    shell.succeeds("make", "many/x", "many/y")
    assert shell.issues() == ["left[x]", "left[y]", "right[x]", "right[y]"]
    for key in ("left[x]", "right[y]", "left[y]"):
        shell.succeeds(key)
        assert shell.issues() == []
    shell.succeeds("right[x]")

    assert shell.issues() == ["both"]


def test_two_dynamic_outputs_of_one_step_are_mapped_apart() -> None:
    shell = Shell(
        plan_of(
            step("make", out=["a*", "b*?"]),
            step("on_a[?]", "make.a", over="make.a"),
            step("on_b[?]", "make.b", over="make.b"),
            step("gather_b", collect("on_b[?]")),
        )
    )

    shell.succeeds("make", "a/x")

    assert shell.issues() == ["on_a[x]"]
    assert shell.state("gather_b") == "SKIPPED"


def test_a_dynamic_output_is_collected_without_a_mapped_step() -> None:
    shell = Shell(plan_of(step("make", out=["many*"]), step("gather", collect("make.many"))))

    shell.succeeds("make", "many/y", "many/x")

    assert shell.issues() == ["gather"]
    assert values(shell, "gather") == [("make", "y"), ("make", "x")]


def test_an_empty_dynamic_output_is_collected_as_an_empty_list_and_an_optional_one_skips() -> None:
    for out, state in (("many*", "READY"), ("many*?", "SKIPPED")):
        shell = Shell(plan_of(step("make", out=[out]), step("gather", collect("make.many"))))

        shell.succeeds_without("make")

        assert shell.state("gather") == state


def test_a_second_attempt_of_the_mapper_maps_its_own_keys_only() -> None:
    shell = Shell(mapped_plan())
    shell.runs("make")
    shell.outputs("make", "many/old")
    shell.asks_again("make")
    shell.wakes("make")

    shell.succeeds("make", "many/new")

    assert shell.issues() == ["work[new]"]


# Re-execution: a part of the plan, and what earlier runs produced ---------------------------------------------------------------


def test_a_known_output_is_taken_and_its_step_is_not_run() -> None:
    shell = Shell(plan_of(step("b", "a"), known=[known("a")]))

    assert shell.issues() == ["b"]
    assert values(shell, "b", "in0") == [("a", None)]


def test_an_output_that_no_earlier_run_produced_skips() -> None:
    shell = Shell(plan_of(step("b", "a.maybe"), step("c", "b"), step("d", "c")))

    assert shell.records() == [("STEP_SKIPPED", "b"), ("STEP_SKIPPED", "c"), ("STEP_SKIPPED", "d")]
    assert shell.end() is not None


def test_of_mapped_steps_only_the_unfinished_run_again_each_with_its_own_value() -> None:
    plan = plan_of(
        *mapped_plan().steps[1:],
        known=[
            known("make", "many", "x"),
            known("make", "many", "y"),
            known("make", "many", "z"),
            known("work[x]"),
            known("work[z]"),
        ],
    )
    shell = Shell(plan)

    assert shell.issues() == ["work[y]"]
    assert values(shell, "work[y]", "in0") == [("make", "y")]
    shell.succeeds("work[y]")
    assert values(shell, "gather") == [("work[x]", None), ("work[y]", None), ("work[z]", None)]


def test_only_the_collector_runs_again() -> None:
    shell = Shell(
        plan_of(*mapped_plan().steps[1:], known=[known("make", "many", "x"), known("work[x]")]),
    )

    assert shell.issues() == ["gather"]


def test_a_known_mapper_without_keys_leaves_the_collector_with_an_empty_list() -> None:
    shell = Shell(plan_of(*mapped_plan().steps[1:]))

    assert shell.issues() == ["gather"]
    assert values(shell, "gather") == []
