"""Types with a check of their own."""

from typing import Dict, List  # noqa: UP035 - the form without parameters is what is tested

import pytest

from runplane import (
    DagsterInvariantViolationError,
    DagsterType,
    DagsterTypeCheckDidNotPass,
    In,
    PythonObjectDagsterType,
    TypeCheck,
    build_op_context,
    check_dagster_type,
    dagster_type_loader,
    op,
    usable_as_dagster_type,
)
from runplane.definitions.value_type import value_type

EVEN = DagsterType(name="Even", type_check_fn=lambda _, v: TypeCheck(v % 2 == 0, "must be even", {"v": v}))


def test_a_check_says_yes_no_or_why():
    assert check_dagster_type(EVEN, 2) == TypeCheck(True, "must be even", {"v": 2})
    assert check_dagster_type(DagsterType(name="No", type_check_fn=lambda *_: False), 2) == TypeCheck(False)


def test_a_check_that_says_neither_is_named():
    perhaps = DagsterType(name="Perhaps", type_check_fn=lambda *_: "perhaps")

    with pytest.raises(DagsterInvariantViolationError, match="type 'Perhaps'.*'perhaps', a str"):
        check_dagster_type(perhaps, 1)


def test_a_type_inside_of_another_is_checked_too():
    check = check_dagster_type(list[EVEN], [2, 3])  # type: ignore[valid-type]

    assert (check.success, check.description) == (False, "must be even")


def test_a_type_needs_a_name_or_a_key():
    with pytest.raises(DagsterInvariantViolationError, match="name or a key"):
        DagsterType(type_check_fn=lambda *_: True)


def test_a_call_outside_a_run_is_checked_and_says_what_the_check_said():
    @op(ins={"x": In(EVEN)})
    def halve(x):
        return x // 2

    with pytest.raises(DagsterTypeCheckDidNotPass) as caught:
        halve(3)

    assert (caught.value.description, caught.value.metadata, caught.value.dagster_type) == (
        "must be even",
        {"v": 3},
        EVEN,
    )
    assert halve(4) == 2


def test_several_classes_are_one_type():
    numbers = PythonObjectDagsterType((int, float))

    assert numbers.display_name == "Union[int, float]"
    assert [check_dagster_type(numbers, v).success for v in (1, 1.5, "x")] == [True, True, False]


def test_a_registered_class_keeps_being_the_class():
    @usable_as_dagster_type(name="Named")
    class Thing:
        pass

    assert value_type(Thing).display_name == "Named"
    assert check_dagster_type(Thing, Thing()).success


def test_a_loader_can_be_called_as_the_function_it_is():
    @dagster_type_loader(config_schema={"n": int})
    def load(context, config):
        return config["n"]

    assert load(build_op_context(), {"n": 3}) == 3


def test_generic_names_without_parameters_take_what_the_plain_class_takes():
    assert check_dagster_type(Dict, {1: "x"}).success  # noqa: UP006
    assert not check_dagster_type(List, ()).success  # noqa: UP006
