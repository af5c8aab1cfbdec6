"""Checks of values against annotations: names and reasons are Dagster's."""

from typing import Any, Dict, List, Optional, Set, Tuple  # noqa: UP035 - users write these too

import pytest

from runplane import Nothing
from runplane.definitions.value_type import value_type


class Thing:
    pass


NOT_A_DICT = (
    "Value of type <class 'int'> failed type check for Dagster type dict, expected value to be of Python type dict."
)


@pytest.mark.parametrize(
    ("declared", "name", "good", "bad", "reason"),
    [
        (int, "Int", 3, 1.5, 'Value "1.5" of python type "float" must be a int.'),
        (str, "String", "a", b"x", 'Value "b\'x\'" of python type "bytes" must be a string.'),
        (float, "Float", 1.0, 1, 'Value "1" of python type "int" must be a float.'),
        (bool, "Bool", True, 1, 'Value "1" of python type "int" must be a bool.'),
        (List[int], "[Int]", [1], [1, "x"], 'Value "x" of python type "str" must be a int.'),  # noqa: UP006
        (list[int], "[Int]", [], 3, 'Value "3" of python type "int" must be a list.'),
        (list, "[Any]", ["x"], 3, 'Value "3" of python type "int" must be a list.'),
        (Optional[int], "Int?", None, "x", 'Value "x" of python type "str" must be a int.'),  # noqa: UP045
        (int | None, "Int?", 3, "x", 'Value "x" of python type "str" must be a int.'),
        (Dict[str, int], "Dict[String,Int]", {"a": 1}, 3, "Value should be a dict, got a <class 'int'>"),  # noqa: UP006
        (dict, "dict", {}, 3, NOT_A_DICT),
        (Tuple[int, str], "Tuple[Int,String]", (1, "a"), [1], "Value should be a tuple, got a <class 'list'>"),  # noqa: UP006
        (Set[int], "Set[Int]", {1}, {"a"}, 'Value "a" of python type "str" must be a int.'),  # noqa: UP006
        (type(None), "Nothing", None, 3, "Value must be None or unset, got a <class 'int'>"),
        (Nothing, "Nothing", None, 3, "Value must be None or unset, got a <class 'int'>"),
    ],
)
def test_a_value_is_checked(declared, name, good, bad, reason):
    kind = value_type(declared)
    assert kind.display_name == name
    assert kind.check(good) is None
    assert kind.check(bad) == reason


def test_a_class_is_an_instance_check():
    kind = value_type(Thing)
    assert kind.check(Thing()) is None
    assert "failed type check for Dagster type Thing" in str(kind.check(3))


def test_what_can_not_be_checked_takes_anything():
    assert value_type(Any).is_any
    assert value_type(int | str).check(object()) is None
