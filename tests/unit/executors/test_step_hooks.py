"""Hooks of a step: after its outcome, and never instead of it."""

import sys

import pytest

from runplane import (
    DagsterExecutionInterruptedError,
    RetryPolicy,
    failure_hook,
    job,
    op,
    resource,
    success_hook,
)


@op
def one():
    return 1


@op
def fails():
    raise ValueError("no")


def _kinds(result, step):
    return [e.event_type_value for e in result.all_events if e.step_key == step]


def _with(*hooks):
    @job(hooks=set(hooks))
    def hooked():
        one()
        fails()

    return hooked.execute_in_process(raise_on_error=False)


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit(3)])
def test_a_hook_that_raises_is_told_and_changes_nothing(error):
    @success_hook
    def breaks(context):
        raise error

    result = _with(breaks)

    assert _kinds(result, "one")[-2:] == ["STEP_SUCCESS", "HOOK_ERRORED"]
    assert result.is_node_success("one")
    errored = next(e for e in result.all_events if e.event_type_value == "HOOK_ERRORED")
    assert type(error).__name__ in errored.event_specific_data.error.message


def test_an_interrupt_ends_the_row_of_hooks_and_not_the_success():
    @success_hook
    def a_interrupted(context):
        raise DagsterExecutionInterruptedError

    @success_hook
    def b_never(context):
        raise AssertionError("called")

    result = _with(a_interrupted, b_never)

    assert _kinds(result, "one")[-2:] == ["STEP_SUCCESS", "HOOK_ERRORED"]
    assert result.is_node_success("one")


def test_a_failure_hook_sees_what_the_user_raised():
    seen = []

    @failure_hook
    def sees(context):
        seen.append(context.op_exception)

    _with(sees)

    assert [str(e) for e in seen] == ["no"]


def test_a_failure_hook_is_called_once_when_retries_are_used_up_and_a_success_hook_never():
    called = []

    @failure_hook
    def failed(context):
        called.append("failed")

    @success_hook
    def succeeded(context):
        called.append("succeeded")

    @op(retry_policy=RetryPolicy(max_retries=2))
    def never():
        raise ValueError("no")

    @job(hooks={failed, succeeded})
    def hooked():
        never()

    result = hooked.execute_in_process(raise_on_error=False)

    assert result.retry_attempts_for_node("never") == 2
    assert called == ["failed"]


def test_a_hooks_lines_are_lines_of_its_step():
    @success_hook
    def says(context):
        context.log.info("after %s", context.step_key)

    events = _with(says).stored_events

    line = next(i for i, e in enumerate(events) if e.kind == "LOG")
    assert (events[line].step, events[line].body["message"]) == ("one", "after one")
    assert [e.kind for e in events[:line]].count("STEP_SUCCESS") == 1


def test_a_steps_resources_are_open_while_its_hooks_run():
    heard = []

    @resource
    def lamp():
        heard.append("on")
        yield "lamp"
        heard.append("off")

    @success_hook(required_resource_keys={"lamp"})
    def sees(context):
        heard.append(context.resources.lamp)

    @job(hooks={sees}, resource_defs={"lamp": lamp})
    def lit():
        one()

    lit.execute_in_process()

    assert heard == ["on", "lamp", "off"]


def test_a_step_without_hooks_loads_nothing_for_them():
    sys.modules.pop("runplane.executors.step_hooks", None)

    @job
    def plain():
        one()

    plain.execute_in_process()

    assert "runplane.executors.step_hooks" not in sys.modules
