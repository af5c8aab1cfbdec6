"""Re-execution from failure runs exactly the complement of what was finished."""

from runplane import DynamicOut, DynamicOutput, Out, Output, job, op
from runplane.engine.snapshot import StoredOutput
from runplane.events import Event
from runplane.plan.compile import compile_plan
from runplane.plan.reexecution import Finished, chosen_of, finished_by, remainder_of


@op(out=DynamicOut())
def spread():
    yield DynamicOutput(1, "a")


@op
def work(x):
    return x


@op
def more(x):
    return x


@op
def total(xs):
    return xs


@op(out=Out(is_required=False))
def maybe():
    yield Output(1)


@job
def dynamic():
    total(spread().map(lambda x: more(work(x))).collect())


@job
def line():
    work.alias("c")(work.alias("b")(maybe()))
    work.alias("z")(maybe.alias("y")())


def _out(step, key=None, run="parent"):
    return StoredOutput(run, step, "result", key, {"path": f"/{step}"})


def _events(*rows):
    return [Event("parent", i, kind, step, n, body, 0.0, 0.0) for i, (kind, step, n, body) in enumerate(rows, 1)]


def test_what_a_run_finished_is_read_from_its_events():
    output = {"output": "result", "mapping_key": None, "location": {"path": "/x"}}
    found = finished_by(
        "parent",
        _events(
            ("RUN_START", None, None, {}),
            ("STEP_OUTPUT", "a", 1, {**output, "location": {"path": "/first"}}),
            ("STEP_UP_FOR_RETRY", "a", 1, {}),
            ("STEP_OUTPUT", "a", 2, output),
            ("STEP_SUCCESS", "a", 2, {}),
            ("STEP_OUTPUT", "b", 1, output),
            ("STEP_FAILURE", "b", 1, {}),
            ("STEP_SKIPPED", "c", None, {}),
        ),
    )
    assert found.steps == {"a", "c"}
    assert found.outputs == (StoredOutput("parent", "a", "result", None, {"path": "/x"}),)


def test_what_failed_and_what_never_ran_is_left():
    plan = compile_plan(line)
    left = remainder_of(plan, Finished(frozenset({"maybe", "y", "z"}), (_out("maybe"), _out("y"), _out("z"))))
    assert left.step_keys == ("b", "c")
    assert {o.step for o in left.known_outputs} == {"maybe", "y", "z"}


def test_what_was_skipped_stays_skipped():
    plan = compile_plan(line)
    left = remainder_of(plan, Finished(frozenset({"maybe", "b", "c", "y"}), (_out("y"),)))
    assert left.step_keys == ("z",)


def test_a_finished_run_leaves_nothing():
    plan = compile_plan(line)
    assert remainder_of(plan, Finished(frozenset(s.key for s in plan.steps), ())).step_keys == ()


def test_of_mapped_steps_only_the_unfinished_run_again():
    plan = compile_plan(dynamic)
    done = Finished(
        frozenset({"spread", "work[a]", "work[b]", "more[a]"}),
        (_out("spread", "a"), _out("spread", "b"), _out("work[a]"), _out("work[b]"), _out("more[a]")),
    )
    left = remainder_of(plan, done)
    assert left.step_keys == ("more[b]", "total")
    again = compile_plan(dynamic, step_keys=left.step_keys, known_outputs=left.known_outputs)
    # The template of what is finished is there for the engine to find its values by; its steps are all known.
    assert [s.key for s in again.steps] == ["work[?]", "more[?]", "total"]
    assert {o.step for o in again.known_outputs} == {"spread", "work[a]", "work[b]", "more[a]"}


def test_mapped_steps_run_again_with_their_mapper():
    left = remainder_of(compile_plan(dynamic), Finished(frozenset(), ()))
    assert left.step_keys == ("spread", "work[?]", "more[?]", "total")


def test_a_mapper_that_gave_nothing_leaves_the_collector():
    left = remainder_of(compile_plan(dynamic), Finished(frozenset({"spread"}), ()))
    assert left.step_keys == ("total",)


def test_a_retry_of_a_retry_keeps_what_its_parents_made():
    plan = compile_plan(dynamic)
    first = Finished(
        frozenset({"spread", "work[a]"}),
        (_out("spread", "a", "one"), _out("spread", "b", "one"), _out("work[a]", run="one")),
    )
    left = remainder_of(plan, first)
    assert left.step_keys == ("work[b]", "more[a]", "more[b]", "total")
    second = compile_plan(dynamic, step_keys=left.step_keys, known_outputs=left.known_outputs)
    done = Finished(frozenset({"work[b]", "more[a]"}), (_out("work[b]", run="two"), _out("more[a]", run="two")))
    last = remainder_of(second, done)
    assert last.step_keys == ("more[b]", "total")
    assert {(o.run_id, o.step) for o in last.known_outputs} == {
        ("one", "spread"),
        ("one", "work[a]"),
        ("two", "work[b]"),
        ("two", "more[a]"),
    }


def test_a_mapped_step_that_was_done_without_an_output_stays_done():
    plan = compile_plan(dynamic)
    both = (_out("spread", "a"), _out("spread", "b"))
    left = remainder_of(plan, Finished(frozenset({"spread", "work[a]", "work[b]", "more[a]"}), both))
    assert left.step_keys == ("more[b]", "total")
    assert left.known_steps == ("more[a]", "work[a]", "work[b]")
    # ... and in a retry of the retry too.
    again = compile_plan(
        dynamic, step_keys=left.step_keys, known_outputs=left.known_outputs, known_steps=left.known_steps
    )
    assert remainder_of(again, Finished(frozenset(), ())).step_keys == ("more[b]", "total")


def test_of_steps_that_are_chosen_nothing_is_known():
    plan = compile_plan(line)
    whole = Finished(frozenset({"maybe", "b", "c", "y", "z"}), tuple(_out(s) for s in ("maybe", "b", "c", "y", "z")))

    left = chosen_of(plan, whole, ["b*"])

    assert left.step_keys == ("b", "c")
    assert [o.step for o in left.known_outputs] == ["maybe", "y", "z"]


@op(out=DynamicOut(is_required=False))
def perhaps_none():
    yield from ()


@op
def after(x):
    return x


@job
def nothing_to_collect():
    found = perhaps_none()
    after(total.alias("direct")(found.collect()))
    total.alias("mapped")(found.map(work).collect())


def test_killed_before_it_could_say_so_a_collector_of_an_optional_output_that_was_left_out_is_skipped_too():
    plan = compile_plan(nothing_to_collect)

    left = remainder_of(plan, Finished(frozenset({"perhaps_none"}), ()))

    assert not {"direct", "mapped"} & set(left.step_keys), "it would run with an empty list"


def test_a_collector_of_a_required_output_without_values_runs_with_an_empty_list():
    left = remainder_of(compile_plan(dynamic), Finished(frozenset({"spread"}), ()))

    assert left.step_keys == ("total",)
