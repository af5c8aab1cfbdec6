"""Ops: what is understood of a function, and calling one as a function."""

import pytest

from runplane import (
    DagsterInvalidDefinitionError,
    DagsterInvalidInvocationError,
    In,
    Nothing,
    OpExecutionContext,
    Out,
    Output,
    build_op_context,
    op,
    resource,
)


def test_annotations_and_defaults_make_inputs_and_outputs():
    @op
    def work(context: OpExecutionContext, a: int, b: "list[str]", *, c=3) -> dict:
        """What it does."""

    assert {n: (i.type.display_name, i.has_default) for n, i in work.input_dict.items()} == {
        "a": ("Int", False),
        "b": ("[String]", False),
        "c": ("Any", True),
    }
    assert work.output_dict["result"].type.display_name == "dict"
    assert work.description == "What it does."


def test_declarations_win_over_annotations():
    @op(ins={"a": In(str, default_value="x"), "after": In(Nothing)}, out={"p": Out(int), "q": Out(is_required=False)})
    def work(a: int):
        return 1, 2

    assert work.input_dict["a"].type.display_name == "String"
    assert work.input_dict["after"].type.is_nothing
    assert [(o.name, o.type.display_name, o.is_required) for o in work.output_defs] == [
        ("p", "Int", True),
        ("q", "Any", False),
    ]


def test_a_return_annotation_of_none_is_nothing():
    @op
    def work() -> None:
        pass

    assert work.output_dict["result"].type.is_nothing


def test_an_in_without_parameter_is_refused():
    with pytest.raises(DagsterInvalidDefinitionError, match=r"does not have argument\(s\) 'q'"):

        @op(ins={"q": In()})
        def work(x):
            pass


def test_an_op_is_called_as_a_function():
    @op
    def add(x, y=2):
        return x + y

    assert add(1) == 3
    assert add(1, y=5) == 6
    with pytest.raises(DagsterInvalidInvocationError, match='No value provided for required input "x"'):
        add()


def test_a_call_with_context_has_config_and_resources():
    @resource(config_schema={"n": int})
    def number(context):
        return context.resource_config["n"]

    @op(required_resource_keys={"r", "s"}, config_schema=int)
    def work(context, x):
        context.add_output_metadata({"k": 1})
        return (context.op_config, context.resources.r, context.resources.s, x, context.run_id)

    context = build_op_context(resources={"r": 5, "s": number}, op_config=3, resources_config={"s": {"n": 7}})
    assert work(context, 1) == (3, 5, 7, 1, "EPHEMERAL")
    with pytest.raises(DagsterInvalidInvocationError, match="has context argument, but no context was provided"):
        work(1)


def test_an_output_object_is_given_back_as_it_is():
    @op
    def work():
        return Output(3, metadata={"a": 1})

    assert work() == Output(3, metadata={"a": 1})


def test_a_resource_that_was_not_asked_for_is_named():
    @op(required_resource_keys={"database"})
    def work(context):
        return context.resources.databse

    with pytest.raises(Exception, match="Did you mean 'database'"):
        work(build_op_context(resources={"database": 1}))
