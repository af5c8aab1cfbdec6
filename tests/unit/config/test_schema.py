"""The schema language: every problem at once, nothing secret in a message, resolution as a step of its own."""

from __future__ import annotations

from typing import Any

import pytest

from runplane.config.schema import (
    HIDDEN,
    AnyScalar,
    Bool,
    Field,
    Float,
    FreeMap,
    Int,
    ListOf,
    MapOf,
    OneOrMany,
    Schema,
    Selector,
    Shape,
    Text,
    resolve,
    validate,
)
from runplane.errors import ConfigErrors, Problem, Problems

DATABASE = Shape(
    {
        "host": Field(Text(empty=False), required=True),
        "port": Field(Int(minimum=1, maximum=65535), default=5432),
        "password": Field(Text(secret=True), default=""),
        "url": Text(url=True),
        "tags": Field(ListOf(Text()), default=[]),
        "limits": MapOf(Float(minimum=0)),
        "verbose": Field(Bool(), default=False),
    }
)


def found(schema: Schema, value: Any) -> list[Problem]:
    problems = Problems("db")
    schema.check(value, problems)
    return problems.found


def paths(schema: Schema, value: Any) -> list[str]:
    return [problem.path for problem in found(schema, value)]


def test_every_problem_is_reported_at_once_with_its_path() -> None:
    value = {"hots": "h", "port": 0, "tags": ["a", 1], "limits": {"x": -1}, "verbose": "yes"}

    assert paths(DATABASE, value) == ["db.hots", "db.port", "db.tags[1]", "db.limits.x", "db.verbose", "db.host"]


def test_an_unknown_key_names_the_nearest() -> None:
    (problem,) = found(DATABASE, {"host": "h", "pasword": "x"})

    assert (problem.message, problem.suggestion) == ("unknown key", "password")


@pytest.mark.parametrize(
    "value",
    [
        {"host": "h", "password": ["canary"]},
        {"host": "h", "url": {"canary": 1}},
        {"host": "h", "url": ["postgres://u:canary@h/d"]},
        {"host": {"password": "canary"}},
        {"host": "h", "port": "postgres://u:canary@h/d"},
        {"host": "h", "pasword": "canary"},
        "postgres://u:canary@h/d",
    ],
)
def test_a_secret_is_never_shown(value: Any) -> None:
    assert "canary" not in str(found(DATABASE, value))


def test_a_harmless_value_is_shown() -> None:
    (problem,) = found(DATABASE, {"host": "h", "port": "many"})

    assert (problem.got, problem.expected) == ("'many'", "a whole number")


@pytest.mark.parametrize(
    "schema", [Text(), Int(), Float(), Bool(), AnyScalar(), Text(choices=("a",)), OneOrMany(Int(), FreeMap())]
)
def test_each_scalar_place_takes_an_environment_source(schema: Schema) -> None:
    assert found(schema, {"env": "X"}) == []


@pytest.mark.parametrize("value", [{"env": ""}, {"env": 1}, {"env": "X", "other": 1}, {}])
def test_an_environment_source_has_one_form(value: Any) -> None:
    assert len(found(Text(), value)) == 1


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (Int(), True),
        (Int(), 1.0),
        (Float(), True),
        (Text(), 1),
        (Bool(), "true"),
        (Bool(), 1),
        (ListOf(Text()), "abc"),
        (MapOf(Text()), ["a"]),
        (Text(), None),
        (FreeMap(), None),
        (FreeMap(), {1: 2}),
        (AnyScalar(), ["a"]),
    ],
)
def test_no_type_is_taken_for_another(schema: Schema, value: Any) -> None:
    assert len(found(schema, value)) == 1


@pytest.mark.parametrize(
    "schema", [Text(nullable=True), ListOf(Text(), nullable=True), FreeMap(nullable=True), Shape({}, nullable=True)]
)
def test_null_is_right_where_it_is_allowed(schema: Schema) -> None:
    assert found(schema, None) == []


def test_a_number_of_no_size_is_out_of_bounds() -> None:
    assert len(found(Float(minimum=0, maximum=1), float("nan"))) == 1


def test_a_selector_wants_exactly_one() -> None:
    selector = Selector({"a": Shape({}, nullable=True), "b": Shape({"x": Int()})})

    assert paths(selector, {"a": None}) == []
    assert [p.expected for p in found(selector, {})] == ["exactly one of a, b"]
    assert [p.message for p in found(selector, {"a": {}, "b": {}})] == ["exactly one key is wanted"]
    assert paths(selector, {"c": {}}) == ["db.c"]
    assert paths(selector, {"b": {"x": "y"}}) == ["db.b.x"]


def test_a_misplaced_key_is_told_its_place() -> None:
    schema = Shape({"a": Int()}, misplaced={"b": "other.section"})

    assert [p.expected for p in found(schema, {"b": 1})] == ["under other.section"]


def test_a_rule_runs_only_when_each_key_is_right() -> None:
    def never_two(value: Any, problems: Problems) -> None:
        problems.add("two")

    schema = Shape({"a": Int(), "b": Int()}, rules=(never_two,))

    assert [p.message for p in found(schema, {"a": "x"})] == ["wrong type"]
    assert [p.message for p in found(schema, {"a": 1, "b": 2})] == ["two"]


def test_resolving_fills_defaults_and_reads_the_environment() -> None:
    value = {
        "host": {"env": "H"},
        "port": {"env": "P"},
        "tags": [{"env": "T"}],
        "limits": {"x": {"env": "L"}},
        "verbose": {"env": "V"},
    }

    resolved = resolve(DATABASE, value, {"H": "h", "P": "15", "T": "t", "L": "0.5", "V": "Yes"}, where="f")

    assert resolved == {"host": "h", "port": 15, "password": "", "tags": ["t"], "limits": {"x": 0.5}, "verbose": True}
    assert value["host"] == {"env": "H"}


def test_resolving_names_every_variable_and_shows_no_value() -> None:
    value = {"host": {"env": "H"}, "port": {"env": "P"}, "verbose": {"env": "V"}}

    with pytest.raises(ConfigErrors) as caught:
        resolve(DATABASE, value, {"P": "canary", "V": "maybe"}, where="f", path="db")

    assert [p.path for p in caught.value.problems] == ["db.host", "db.port", "db.verbose"]
    assert all(name in str(caught.value) for name in ("H is not set", "variable P", "variable V"))
    assert "canary" not in str(caught.value)
    assert "maybe" not in str(caught.value)


def test_bounds_hold_for_what_the_environment_says() -> None:
    with pytest.raises(ConfigErrors, match="out of bounds in the environment variable P"):
        resolve(DATABASE, {"host": "h", "port": {"env": "P"}}, {"P": "70000"}, where="f")


@pytest.mark.parametrize(("text", "value"), [("true", True), ("0", False), ("No", False), ("", False), (" on ", True)])
def test_the_usual_words_of_a_boolean_variable_are_read(text: str, value: bool) -> None:
    assert resolve(Shape({"b": Bool()}), {"b": {"env": "B"}}, {"B": text}, where="f") == {"b": value}


def test_what_is_shown_has_defaults_and_hides_literal_secrets_only() -> None:
    url = "postgres://user:canary@h/d"

    shown = DATABASE.fill({"host": "h", "password": "canary", "url": url}, hide=True)

    assert shown == {"host": "h", "port": 5432, "password": HIDDEN, "url": HIDDEN, "tags": [], "verbose": False}
    assert DATABASE.fill({"host": "h", "password": {"env": "X"}}, hide=True)["password"] == {"env": "X"}
    assert DATABASE.fill({"host": "h", "url": "http://plain"}, hide=True)["url"] == "http://plain"


def test_literals_in_secret_places_are_named() -> None:
    problems = Problems("db")

    DATABASE.literals({"host": "h", "password": "canary", "url": "pg://u:p@h"}, problems)

    assert [p.path for p in problems.found] == ["db.password", "db.url"]
    assert "canary" not in str(problems.found)


def test_validate_says_where() -> None:
    with pytest.raises(ConfigErrors, match=r"dagster.yaml: 1 problem\n  a: wrong type"):
        validate(Shape({"a": Int()}), {"a": "x"}, where="dagster.yaml")
