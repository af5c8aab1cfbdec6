"""Every kind of config: what is right, what is not, which defaults are filled in."""

import enum

from dagster import (
    Any,
    Array,
    Bool,
    Enum,
    EnumValue,
    Field,
    Float,
    Int,
    IntSource,
    Map,
    Noneable,
    Permissive,
    ScalarUnion,
    Selector,
    Shape,
    String,
    StringSource,
    job,
    op,
)


class Color(enum.Enum):
    RED = 1
    BLUE = 2


KINDS = {
    "int": (Int, [1, "x", True, 1.0, None]),
    "float": (Float, [1, 1.5, "x"]),
    "string": (String, ["x", 1]),
    "bool": (Bool, [True, 1, "true"]),
    "any": (Any, [1, "x", {"a": [1]}]),
    "list": ([int], [[], [1], ["x"], 1]),
    "array": (Array(String), [["x"], [1]]),
    "shape": (
        Shape({"a": int, "b": Field(str, default_value="d")}),
        [{"a": 1}, {"a": 1, "b": "x"}, {}, {"a": 1, "c": 1}],
    ),
    "nested": ({"a": {"b": int}}, [{"a": {"b": 1}}, {"a": {}}, {"a": {"b": "x"}}]),
    "permissive": (Permissive({"a": int}), [{"a": 1, "z": 2}, {"z": 2}]),
    "selector": (Selector({"x": int, "y": {"z": str}}), [{"x": 1}, {"y": {"z": "s"}}, {}, {"x": 1, "y": {"z": "s"}}]),
    "map": (Map(str, int), [{"a": 1}, {"a": "x"}, {}]),
    "noneable": (Noneable(int), [None, 1, "x"]),
    "enum": (Enum("Size", [EnumValue("SMALL"), EnumValue("BIG")]), ["SMALL", "HUGE"]),
    "enum values": (Enum("Number", [EnumValue("ONE", 1), EnumValue("TWO", 2)]), ["ONE", "THREE"]),
    "python enum": (Enum.from_python_enum(Color), ["RED", "GREEN"]),
    "union": (ScalarUnion(str, {"a": int}), ["x", {"a": 1}, 1, {"b": 1}]),
    "int source": (IntSource, [1, {"env": "SCENARIO_NUMBER"}, {"env": "SCENARIO_NOT_SET"}]),
    "string source": (StringSource, ["x", {"env": "SCENARIO_NUMBER"}]),
}


def given(kind, value):
    @op(config_schema={"it": kind})
    def shows(context):
        found = context.op_config["it"]
        return found.name if isinstance(found, enum.Enum) else found

    @job
    def one():
        shows()

    def run():
        run_config = {"ops": {"shows": {"config": {"it": value}}}}
        return one.execute_in_process(run_config=run_config).output_for_node("shows")

    return run


def scenario():
    import os

    os.environ["SCENARIO_NUMBER"] = "7"
    return {
        f"{name} {number}": given(kind, value)
        for name, (kind, values) in KINDS.items()
        for number, value in enumerate(values)
    }
