"""One attempt of one step: its events in order, and one outcome whatever user code does."""

import json
import logging
import sys

import pytest
from steps import RUN_ID, Performed, perform, perform_one

from runplane import (
    Backoff,
    DagsterExecutionInterruptedError,
    DynamicOut,
    DynamicOutput,
    Failure,
    FencedError,
    In,
    Jitter,
    Nothing,
    Out,
    Output,
    RetryPolicy,
    RetryRequested,
    job,
    op,
)
from runplane.events.causes import FailureCause
from runplane.events.run import Run
from runplane.executors.perform import perform_step
from runplane.executors.step_request import StepRequest
from runplane.plan.compile import compile_plan


def _alone(fn, **options):
    """A job of one op."""
    step = op(**options)(fn)
    return job(name="alone")(lambda: step() and None)


def _outcome(fn, home, run_config=None, *, request=None, **options):
    done = perform_one(_alone(fn, **options), home, run_config, **(request or {}))
    outcomes = [e for e in done.events if e.kind in ("STEP_SUCCESS", "STEP_FAILURE", "STEP_UP_FOR_RETRY")]
    assert len(outcomes) == 1
    json.dumps([e.body for e in done.events])  # events hold JSON values only
    return outcomes[0], done


def test_the_events_of_two_steps_in_order(tmp_path):
    @op
    def first() -> int:
        return 1

    @op
    def second(context, x: int, y=2):
        context.log.info("adding %d", x)
        return Output(x + y, metadata={"note": "sum"})

    @job
    def both():
        second(first())

    done = perform(both, tmp_path)

    assert done.kinds("first") == [
        "RESOURCE_INIT_STARTED",
        "RESOURCE_INIT_SUCCESS",
        "STEP_START",
        "STEP_OUTPUT",
        "HANDLED_OUTPUT",
        "STEP_SUCCESS",
    ]
    assert done.kinds("second")[2:] == [
        "STEP_START",
        "LOADED_INPUT",
        "STEP_INPUT",
        "STEP_INPUT",
        "LOG",
        "STEP_OUTPUT",
        "HANDLED_OUTPUT",
        "STEP_SUCCESS",
    ]
    assert done.one("STEP_OUTPUT", "second") == {
        "message": 'Yielded output "result" of type "Any". (Type check passed).',
        "output": "result",
        "mapping_key": None,
        "location": {"path": str(tmp_path / "storage" / RUN_ID / "second" / "result"), "io_manager": "io_manager"},
        "type_check": {"success": True, "label": "result", "description": None, "metadata": {}},
        "metadata": {"note": "sum"},
    }
    assert done.one("LOADED_INPUT")["message"] == (
        'Loaded input "x" using input manager "io_manager", from output "result" of step "first"'
    )
    assert done.one("LOG") == {"message": "adding 1", "level": logging.INFO, "logger": "dagster"}


def test_an_output_is_kept_before_it_is_announced(tmp_path, monkeypatch):
    file = tmp_path / "storage" / RUN_ID / "step" / "result"
    there = []

    class Watching(Performed):
        def take(self, event):
            if event.kind == "STEP_OUTPUT":
                there.append(file.exists())
            super().take(event)

    monkeypatch.setattr("steps.Performed", Watching)
    perform_one(_alone(lambda: 3, name="step"), tmp_path)
    assert there == [True]


def test_mapped_steps_and_their_collector(tmp_path):
    @op(out=DynamicOut(int))
    def spread():
        for i in range(3):
            yield DynamicOutput(i, mapping_key=f"k{i}")

    @op
    def double(context, x: int) -> int:
        context.log.info(context.get_mapping_key())
        return 2 * x

    @op
    def total(xs: list[int]):
        return xs

    @job
    def mapped():
        total(spread().map(double).collect())

    done = perform(mapped, tmp_path)
    assert done.ran() == ["spread", "double[k0]", "double[k1]", "double[k2]", "total"]
    assert [e.body["message"] for e in done.events if e.kind == "LOG"] == ["k0", "k1", "k2"]
    assert [e.body["upstream_step"] for e in done.events if e.kind == "LOADED_INPUT" and e.step == "total"] == [
        "double[k0]",
        "double[k1]",
        "double[k2]",
    ]
    assert 'mapping key "k1"' in [e.body["message"] for e in done.events if e.kind == "STEP_OUTPUT"][1]
    assert done.kinds("total")[-1] == "STEP_SUCCESS"


def test_nothing_is_neither_loaded_nor_kept(tmp_path):
    @op(out=Out(Nothing))
    def first():
        pass

    @op(ins={"after": In(Nothing)})
    def second() -> None:
        pass

    @job
    def ordered():
        second(after=first())

    done = perform(ordered, tmp_path)
    assert done.kinds() == ["STEP_START", "STEP_OUTPUT", "STEP_SUCCESS", "STEP_START", "STEP_OUTPUT", "STEP_SUCCESS"]
    assert done.one("STEP_OUTPUT", "first")["location"] is None


async def _async_value():
    return 5


async def _async_items():
    yield Output(1, "a")
    yield Output(2, "b")


def test_coroutines_and_asynchronous_generators_are_welcome(tmp_path):
    outcome, done = _outcome(_async_value, tmp_path)
    assert outcome.kind == "STEP_SUCCESS"
    outcome, done = _outcome(_async_items, tmp_path, out={"a": Out(), "b": Out()})
    assert [o.output for o in done.outputs] == ["a", "b"]


def test_optional_outputs_may_be_left_out(tmp_path):
    def gives():
        yield Output(1, "a")

    outcome, done = _outcome(gives, tmp_path, out={"a": Out(), "b": Out(is_required=False)})
    assert outcome.kind == "STEP_SUCCESS"
    assert [o.output for o in done.outputs] == ["a"]


def test_a_second_attempt_is_a_restart(tmp_path):
    outcome, done = _outcome(lambda context: context.log.info(f"{context.attempt} {context.retry_number}"), tmp_path,
                             name="step", request={"n": 3, "retry_number": 1})  # fmt: skip
    assert outcome.n == 3
    assert done.one("STEP_RESTARTED")["message"] == 'Started re-execution (attempt # 3) of step "step".'
    assert done.one("LOG")["message"] == "3 1"


# What goes wrong ------------------------------------------------------------------------------------------------------------


def _two_outputs():
    return 1


def _unknown_output():
    yield Output(1, "zz")


def _bare_yield():
    yield 5


def _twice():
    yield DynamicOutput(1, "a")
    yield DynamicOutput(1, "a")


def _bad_key():
    yield DynamicOutput(1, "a-b")


def _forgets():
    yield Output(1, "a")


def _wrong_type() -> int:
    return "s"


TWO = {"a": Out(), "b": Out()}


@pytest.mark.parametrize(
    ("fn", "options", "message"),
    [
        (_two_outputs, {"out": TWO}, 'op "_two_outputs" has multiple outputs, but only one output was returned'),
        (_unknown_output, {}, "returned an output \"zz\" that does not exist. The available outputs are ['result']"),
        (_bare_yield, {}, "yielded a value of type <class 'int'> rather than an instance of Output"),
        (_twice, {"out": DynamicOut()}, 'yielded a DynamicOutput with mapping_key "a" multiple times.'),
        (_bad_key, {"out": DynamicOut()}, '"a-b" is not a valid name in Dagster'),
        (_forgets, {"out": TWO}, 'did not return an output for non-optional output "b"'),
        (_wrong_type, {}, 'Type check failed for step output "result" - expected type "Int". Description: Value "s"'),
    ],
)
def test_what_an_op_may_not_give(tmp_path, fn, options, message):
    outcome, _ = _outcome(fn, tmp_path, **options)
    assert outcome.kind == "STEP_FAILURE"
    assert message in outcome.body["error"]["message"]
    assert outcome.body["cause"] == "USER_CODE"


def test_an_input_of_the_wrong_type_fails_before_user_code(tmp_path):
    ran = []

    @op
    def text():
        return "s"

    @op
    def number(x: int):
        ran.append(x)

    @job
    def both():
        number(text())

    done = perform(both, tmp_path)
    assert done.one("STEP_INPUT")["type_check"]["success"] is False
    assert 'Type check failed for step input "x"' in done.one("STEP_FAILURE")["error"]["message"]
    assert ran == []


def _fails():
    try:
        raise KeyError("inner")
    except KeyError as error:
        raise ValueError("outer") from error


def test_an_error_has_its_cause_chain_and_the_users_frames_only(tmp_path):
    outcome, done = _outcome(_fails, tmp_path)
    error = outcome.body["error"]
    assert error["cls_name"] == "DagsterExecutionStepExecutionError"
    assert error["message"].endswith('Error occurred while executing op "_fails":\n')
    assert [c["cls_name"] for c in (error["cause"], error["cause"]["cause"])] == ["ValueError", "KeyError"]
    frames = [line for part in (error, error["cause"], error["cause"]["cause"]) for line in part["stack"]]
    assert frames
    assert all("in _fails" in line for line in frames)
    assert isinstance(done.raised[0], ValueError)


def _exits():
    sys.exit(3)


def _interrupted():
    raise KeyboardInterrupt


def _out_of_memory():
    raise MemoryError("too much")


def _stopped():
    raise DagsterExecutionInterruptedError


def _timed_out():
    raise DagsterExecutionInterruptedError(FailureCause.TIMED_OUT)


def _replaced():
    raise FencedError("somebody newer has the step")


@pytest.mark.parametrize(
    ("fn", "cause", "cls_name"),
    [
        (_exits, "USER_CODE", "SystemExit"),
        (_interrupted, "USER_CODE", "KeyboardInterrupt"),
        (_out_of_memory, "OUT_OF_MEMORY", "DagsterExecutionStepExecutionError"),
        (_stopped, "CANCELED", "DagsterExecutionInterruptedError"),
        (_timed_out, "TIMED_OUT", "DagsterExecutionInterruptedError"),
        (_replaced, "LOST", "FencedError"),
    ],
)
def test_every_way_to_end_is_one_failure_with_its_cause(tmp_path, fn, cause, cls_name):
    for policy in (None, RetryPolicy(max_retries=3)):
        outcome, _ = _outcome(fn, tmp_path, retry_policy=policy)
        if policy is not None and cause == "OUT_OF_MEMORY":
            assert outcome.kind == "STEP_UP_FOR_RETRY"
            continue
        assert (outcome.kind, outcome.body["cause"], outcome.body["error"]["cls_name"]) == (
            "STEP_FAILURE",
            cause,
            cls_name,
        )


def test_an_emit_that_is_refused_ends_the_attempt_and_goes_through(tmp_path):
    taken = []

    def talks(context):
        try:
            context.log.info("hello")
        except FencedError:
            taken.append("swallowed")
        return 1

    def refuse(event):
        taken.append(event.kind)
        if event.kind == "LOG":
            raise FencedError("sealed")

    alone = _alone(talks, name="step")
    plan = compile_plan(alone)
    with pytest.raises(FencedError, match="sealed"):
        perform_step(StepRequest(alone, Run("r", "alone"), plan.steps[0], "step", 1, tmp_path), refuse)
    assert taken[-1] == "swallowed"


def test_an_interrupt_that_comes_while_an_event_is_taken_is_told(tmp_path):
    taken = []

    def talks(context):
        context.log.info("hello")

    def interrupted(event):
        taken.append(event)
        if event.kind == "LOG":
            raise DagsterExecutionInterruptedError

    alone = _alone(talks, name="step")
    perform_step(StepRequest(alone, Run("r", "alone"), compile_plan(alone).steps[0], "step", 1, tmp_path), interrupted)
    assert (taken[-1].kind, taken[-1].body["cause"]) == ("STEP_FAILURE", "CANCELED")


# Failure, RetryRequested, policies -------------------------------------------------------------------------------------------


def _flaky():
    raise ValueError("flaky")


def test_a_policy_asks_for_another_attempt_until_it_is_used_up(tmp_path):
    policy = RetryPolicy(max_retries=2, delay=0.5, backoff=Backoff.LINEAR)
    first, _ = _outcome(_flaky, tmp_path, retry_policy=policy)
    assert (first.kind, first.body["seconds_to_wait"], first.body["cause"]) == ("STEP_UP_FOR_RETRY", 0.5, "USER_CODE")
    assert first.body["message"] == 'Execution of step "_flaky" failed and has requested a retry in 0.5 seconds.'
    assert first.body["error"]["cause"]["message"] == "ValueError: flaky\n"
    second, _ = _outcome(_flaky, tmp_path, retry_policy=policy, request={"n": 2, "retry_number": 1})
    assert second.body["seconds_to_wait"] == 1.0
    last, done = _outcome(_flaky, tmp_path, retry_policy=policy, request={"n": 3, "retry_number": 2})
    assert (last.kind, last.body["error"]["message"]) == ("STEP_FAILURE", "Exceeded max_retries of 2\n")
    assert last.body["error"]["cls_name"] == "RetryRequestedFromPolicy"
    assert (str(done.raised[0]), str(done.raised[0].__cause__)) == ("Exceeded max_retries of 2", "flaky")


def test_jitter_is_drawn_and_recorded(tmp_path):
    policy = RetryPolicy(max_retries=1, delay=8, jitter=Jitter.FULL)
    drawn = {_outcome(_flaky, tmp_path, retry_policy=policy)[0].body["seconds_to_wait"] for _ in range(20)}
    assert len(drawn) > 1
    assert all(0 <= d <= 8 for d in drawn)


def test_an_attempt_that_was_lost_does_not_count_as_a_retry(tmp_path):
    outcome, _ = _outcome(
        _flaky, tmp_path, retry_policy=RetryPolicy(max_retries=1), request={"n": 5, "retry_number": 0}
    )
    assert outcome.kind == "STEP_UP_FOR_RETRY"


def _asks():
    raise RetryRequested(max_retries=1, seconds_to_wait=0.25) from ValueError("inner")


def test_a_requested_retry(tmp_path):
    outcome, _ = _outcome(_asks, tmp_path)
    assert (outcome.kind, outcome.body["seconds_to_wait"], outcome.body["cause"]) == (
        "STEP_UP_FOR_RETRY",
        0.25,
        "USER_RETRY",
    )
    outcome, _ = _outcome(_asks, tmp_path, request={"n": 2, "retry_number": 1})
    assert (outcome.kind, outcome.body["error"]["message"]) == ("STEP_FAILURE", "Exceeded max_retries of 1\n")
    assert outcome.body["error"]["cause"]["message"] == "ValueError: inner\n"


def test_without_retries_a_failure_is_final(tmp_path):
    for fn, policy in ((_asks, None), (_flaky, RetryPolicy(max_retries=3))):
        outcome, _ = _outcome(fn, tmp_path, retry_policy=policy, request={"retries_enabled": False})
        assert outcome.kind == "STEP_FAILURE"


def _gives_up():
    raise Failure("no such customer", metadata={"id": 7}, allow_retries=False)


def _fails_on_purpose():
    raise Failure("try again", metadata={"id": 7})


def test_a_failure_on_purpose_carries_its_metadata(tmp_path):
    expected = {"label": "intentional-failure", "description": "no such customer", "metadata": {"id": 7}}
    for policy in (None, RetryPolicy(max_retries=3)):
        outcome, _ = _outcome(_gives_up, tmp_path, retry_policy=policy)
        assert (outcome.kind, outcome.body["user_failure"]) == ("STEP_FAILURE", expected)
    outcome, _ = _outcome(_fails_on_purpose, tmp_path, retry_policy=RetryPolicy(max_retries=3))
    assert outcome.kind == "STEP_UP_FOR_RETRY"


def test_a_wrong_output_is_not_tried_again(tmp_path):
    outcome, _ = _outcome(_wrong_type, tmp_path, retry_policy=RetryPolicy(max_retries=3))
    assert outcome.kind == "STEP_FAILURE"


# Where values come from -------------------------------------------------------------------------------------------------------


def test_inputs_without_connection_come_from_config_or_default(tmp_path):
    (tmp_path / "numbers.json").write_text("[1, 2]")
    got = []

    def takes(a: int, b: list, c="default"):
        got.extend([a, b, c])

    config = {"ops": {"takes": {"inputs": {"a": 3, "b": {"json": {"path": str(tmp_path / "numbers.json")}}}}}}
    outcome, _ = _outcome(takes, tmp_path, config)
    assert outcome.kind == "STEP_SUCCESS"
    assert got == [3, [1, 2], "default"]


def test_the_jobs_own_inputs_come_from_config_or_python(tmp_path):
    got = []

    @op
    def takes(x):
        got.append(x)

    @job
    def with_input(x: int):
        takes(x)

    perform(with_input, tmp_path, {"inputs": {"x": 3}})
    perform(with_input.changed(input_values={"x": 4}), tmp_path)
    assert got == [3, 4]


def test_output_metadata_can_be_added_by_the_context(tmp_path):
    def adds(context):
        context.add_output_metadata({"rows": 3})
        return 1

    _, done = _outcome(adds, tmp_path)
    assert done.one("STEP_OUTPUT")["metadata"] == {"rows": 3}


def test_metadata_that_is_no_metadata_fails_the_step(tmp_path):
    outcome, _ = _outcome(lambda: Output(1, metadata={"x": object()}), tmp_path, name="step")
    assert 'Could not resolve the metadata value for "x" to a known type' in outcome.body["error"]["message"]


def test_the_context_tells_about_run_and_step(tmp_path):
    got = {}

    def looks(context):
        got.update(
            run=context.run_id,
            job=context.job_name,
            tag=context.get_tag("team"),
            step=context.step_key,
            key=context.get_mapping_key(),
            config=context.run_config,
        )

    step = op(name="looks")(looks)
    perform_one(job(name="alone")(lambda: step() and None), tmp_path, tags={"team": "a"})
    assert got == {"run": RUN_ID, "job": "alone", "tag": "a", "step": "looks", "key": None, "config": {}}
