"""Hooks as definitions: what they are put on, what they need, and that a test can call them."""

import pytest

from runplane import (
    DagsterInvalidDefinitionError,
    DagsterInvalidInvocationError,
    HookDefinition,
    HookExecutionResult,
    build_hook_context,
    failure_hook,
    job,
    op,
    success_hook,
)


@success_hook
def noted(context):
    return context.resources.box


@op
def one():
    return 1


def test_a_hook_is_called_with_a_context():
    with build_hook_context(resources={"box": "a box"}) as context:
        assert noted(context) == "a box"
        assert noted(context=context) == "a box"


def test_a_hooks_context_says_what_it_was_not_given():
    context = build_hook_context(run_id="r")

    assert context.run_id == "r"
    with pytest.raises(Exception, match="this hook context has no step_key"):
        _ = context.step_key


def test_a_hook_as_a_decorator_gives_the_job_with_it():
    @noted
    @job
    def hooked():
        one()

    assert hooked.hook_defs == {noted}


def test_the_function_of_a_hook_takes_the_context_alone():
    with pytest.raises(DagsterInvalidDefinitionError, match="takes one argument"):

        @failure_hook
        def too_many(context, events):
            """Never made."""


def test_what_is_no_hook_is_refused_where_it_is_put():
    with pytest.raises(DagsterInvalidDefinitionError, match="job 'j': this is no hook"):

        @job(hooks={one})
        def j():
            one()

    with pytest.raises(DagsterInvalidDefinitionError, match="this is no hook"):
        one.with_hooks({"noted"})


def test_a_hook_without_a_users_function_can_not_be_called():
    made = HookDefinition(name="made", hook_fn=lambda context, events: HookExecutionResult("made"))

    with pytest.raises(DagsterInvalidInvocationError, match="takes exactly one argument"):
        made(build_hook_context())


def test_a_hook_that_takes_all_events_sees_those_of_its_step():
    seen = []

    def hear(context, events):
        seen.extend(event.event_type_value for event in events)
        return HookExecutionResult("hear")

    @job(hooks={HookDefinition(name="hear", hook_fn=hear)})
    def heard():
        one()

    assert heard.execute_in_process().success
    assert seen == ["STEP_START", "STEP_OUTPUT", "HANDLED_OUTPUT", "STEP_SUCCESS"]
