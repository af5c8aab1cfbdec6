"""Annotations are checked at inputs and outputs."""

from typing import Any

from dagster import DagsterTypeCheckDidNotPass, In, job, op


class Thing:
    pass


@op
def number() -> int:
    return 1


@op
def wrong_number() -> int:
    return "1"


@op
def takes_text(x: str):
    return x


@op
def takes_thing(x: Thing):
    return x


@op
def takes_list(x: list[int]) -> list[int]:
    return [*x, "s"]


@op
def numbers() -> list[int]:
    return [1]


@job
def texts():
    takes_text(number())


@job
def things():
    takes_thing(number())


@job
def lists():
    takes_list(numbers())


@job
def outputs():
    wrong_number()


CASES = {
    "int": (int, [1, True, "x", 1.0]),
    "float": (float, [1, 1.0]),
    "bool": (bool, [1, True]),
    "optional": (int | None, [None, 1, "x"]),
    "list": (list[int], [[], [1], ["x"], (1,)]),
    "bare list": (list, [[1, "x"], ()]),
    "dict": (dict[str, int], [{}, {"a": 1}, {"a": "x"}, {1: 1}]),
    "bare dict": (dict, [{}, []]),
    "set": (set[int], [{1}, {"x"}, [1]]),
    "tuple": (tuple[int, str], [(1, "x"), (1, 2), (1,)]),
    "any": (Any, [None, 1]),
    "thing": (Thing, [Thing(), None]),
}


def is_of(kind, value):
    @op(ins={"x": In(kind)})
    def takes(x):
        return True

    try:
        return takes(value)
    except DagsterTypeCheckDidNotPass:
        return False


def scenario():
    found = {f"check {name}": [is_of(kind, value) for value in values] for name, (kind, values) in CASES.items()}
    return {
        **found,
        "texts": texts.execute_in_process(raise_on_error=False),
        "things": things.execute_in_process(raise_on_error=False),
        "lists": lists.execute_in_process(raise_on_error=False),
        "outputs": outputs.execute_in_process(raise_on_error=False),
        "raised": lambda: texts.execute_in_process(),
        "called": lambda: takes_thing(3),
        "returned": lambda: wrong_number(),
        "names": [takes_list.input_defs[0].dagster_type.display_name, number.output_defs[0].dagster_type.display_name],
    }
