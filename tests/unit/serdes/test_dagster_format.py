"""The `__class__` form: markers, unknown fields and classes, names, and what is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runplane.errors import DocumentError
from runplane.serdes.dagster_format import Codec, Field, Plain, Registry
from runplane.serdes.shapes import (
    BOOL,
    FLAG,
    FREE,
    INT,
    JSON_MAP,
    TEXT,
    Instance,
    ListOf,
    MapOf,
    Member,
    Optional,
    SetOf,
)
from runplane.serdes.unknown import MappingItems, UnknownEnum, UnknownObject
from scale import scaled


class Color(Enum):
    RED = 1
    BLUE = 2


@dataclass(frozen=True)
class Leaf:
    name: str
    weight: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Place:
    row: int
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Tree:
    leaves: tuple[Leaf, ...]
    color: Color = Color.RED
    tags: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    free: Any = None
    flag: bool = False
    place: Place | None = None
    best: Leaf | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


def make() -> Registry:
    registry = Registry()
    registry.add_enum(Color, "Colour")
    registry.add(
        Leaf,
        "OldLeaf",
        [Field("name", TEXT, "leaf_name", also=("name",), required=True), Field("weight", Optional(INT))],
    )
    registry.add(
        Tree,
        "Tree",
        [
            Field("leaves", ListOf(Instance(Leaf)), required=True),
            Field("color", Member(Color)),
            Field("tags", MapOf(TEXT)),
            Field("config", JSON_MAP),
            Field("names", SetOf(TEXT)),
            Field("free", FREE),
            Field("flag", FLAG),
            Field("place", Optional(Plain(Codec(Place, None, [Field("row", INT, required=True)]))), skip_if_null=True),
            Field("best", Optional(Instance(Leaf))),
        ],
        constants={"mode": None},
    )
    return registry


REGISTRY = make()
STRICT = REGISTRY.as_strict()


def again(value: Any) -> Any:
    return REGISTRY.read(REGISTRY.write(value))


def test_the_text_has_sorted_keys_spaces_and_constants() -> None:
    assert REGISTRY.write(Tree((Leaf("a", 1),), names=frozenset({"b", "a b", "a"}), flag=True)) == (
        '{"__class__": "Tree", "best": null, "color": {"__enum__": "Colour.RED"}, "config": {}, "flag": true, "free": null, '
        '"leaves": [{"__class__": "OldLeaf", "leaf_name": "a", "weight": 1}], "mode": null, '
        '"names": {"__set__": ["a", "a b", "b"]}, "tags": {}}'
    )


def test_a_false_flag_is_written_null() -> None:
    assert json.loads(REGISTRY.write(Tree(())))["flag"] is None


def test_unknown_fields_are_kept_and_written_back() -> None:
    # Given a document of a newer version: new fields, one of them of a new class
    document = {
        "__class__": "Tree", "leaves": [{"__class__": "OldLeaf", "leaf_name": "a", "weight": None, "Upper": [1, {"x": NAN}]}],
        "color": {"__enum__": "Colour.BLUE"}, "tags": {}, "config": {}, "names": {"__set__": []}, "free": None, "flag": None,
        "best": None, "mode": None, "newer": {"__class__": "Novel", "y": {"__set__": [1]}},
    }  # fmt: skip

    # When it is read, strictly even, and written
    tree = STRICT.read(json.dumps(document))
    text = REGISTRY.write(tree)

    # Then everything is where it was
    assert text == json.dumps(document, sort_keys=True)
    assert tree.extra == {"newer": {"__class__": "Novel", "y": {"__set__": [1]}}}


NAN = float("nan")


def test_an_unknown_class_in_a_field_is_kept_or_refused() -> None:
    document = '{"__class__": "Tree", "leaves": [{"__class__": "Oldleef", "a": {"b": 1}}]}'
    assert REGISTRY.read(document).leaves == (UnknownObject("Oldleef", {"a": {"b": 1}}),)
    assert json.loads(REGISTRY.write(REGISTRY.read(document)))["leaves"] == json.loads(document)["leaves"]
    with pytest.raises(DocumentError, match=r"leaves\[0\]: unknown class 'Oldleef'. Did you mean 'OldLeaf'\?"):
        STRICT.read(document)


def test_an_unknown_enum_member_is_kept_or_refused() -> None:
    document = '{"__class__": "Tree", "leaves": [], "color": {"__enum__": "Colour.BLEU"}}'
    assert REGISTRY.read(document).color == UnknownEnum("Colour.BLEU")
    assert json.loads(REGISTRY.write(REGISTRY.read(document)))["color"] == {"__enum__": "Colour.BLEU"}
    with pytest.raises(DocumentError, match=r"color: unknown enum member 'Colour.BLEU'. Did you mean 'Colour.BLUE'"):
        STRICT.read(document)


def test_both_names_of_a_field() -> None:
    assert REGISTRY.read('{"__class__": "OldLeaf", "name": "a"}') == Leaf("a")
    assert REGISTRY.read('{"__class__": "OldLeaf", "name": "a", "leaf_name": "a"}') == Leaf("a")
    with pytest.raises(DocumentError, match="'leaf_name' and 'name' are the same field and differ"):
        REGISTRY.read('{"__class__": "OldLeaf", "name": "a", "leaf_name": "b"}')
    # the Python name of a class is not a name in documents
    assert REGISTRY.read('{"__class__": "Leaf", "name": "a"}') == UnknownObject("Leaf", {"name": "a"})


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ('{"__class__": "Tree"}', "lacks the field 'leaves'"),
        ('{"__class__": "Tree", "leafs": []}', "lacks the field 'leaves'. Did you mean 'leafs'"),
        ('{"__class__": "Tree", "leaves": {}}', r"leaves: not a list \(got a mapping, expected a list\)"),
        ('{"__class__": "Tree", "leaves": [1]}', r"leaves\[0\]: not the right class \(got 1, expected OldLeaf\)"),
        (
            '{"__class__": "Tree", "leaves": [{"__class__": "Tree", "leaves": []}]}',
            r"leaves\[0\]: not the right class \(got a Tree",
        ),
        (
            '{"__class__": "Tree", "leaves": [{"__class__": "OldLeaf", "leaf_name": 3}]}',
            r"leaves\[0\].leaf_name: not text",
        ),
        (
            '{"__class__": "Tree", "leaves": [{"__class__": "OldLeaf", "leaf_name": "a", "weight": true}]}',
            "weight: not a whole number",
        ),
        ('{"__class__": "Tree", "leaves": [], "color": "RED"}', "color: not a member of an enum"),
        ('{"__class__": "Tree", "leaves": [], "color": {"__enum__": 1}}', "color: not a member of an enum"),
        ('{"__class__": "Tree", "leaves": [], "tags": {"a": 1}}', "tags.a: not text"),
        ('{"__class__": "Tree", "leaves": [], "config": []}', "config: not a mapping"),
        ('{"__class__": "Tree", "leaves": [], "names": ["a"]}', "names: not a set"),
        ('{"__class__": "Tree", "leaves": [], "names": {"__set__": ["a", "a"]}}', "holds an item twice"),
        ('{"__class__": "Tree", "leaves": [], "names": {"__set__": ["a"], "b": 1}}', "stand alone"),
        ('{"__class__": "Tree", "leaves": [], "free": {"__set__": [[]]}}', "can not be in a set"),
        ('{"__class__": "Tree", "leaves": [], "free": {"__mapping_items__": [[1]]}}', "pairs"),
        ('{"__class__": "Tree", "leaves": [], "free": {"__mapping_items__": [[1, 2], [1, 3]]}}', "twice"),
        ('{"__class__": "Tree", "leaves": [], "flag": 1}', "flag: not true, false or null"),
        ('{"__class__": "Tree", "leaves": [], "place": {}}', "place: the mapping lacks the field 'row'"),
        ('{"__class__": 3}', "__class__ is not a name"),
        ('{"__class__": ["OldLeaf"]}', "__class__ is not a name"),
    ],
)
def test_what_does_not_fit(document: str, says: str) -> None:
    with pytest.raises(DocumentError, match=says):
        REGISTRY.read(document)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (Tree((1,)), "leaves: not the right class"),  # type: ignore[arg-type]
        (Tree((Leaf(2),)), "leaves.leaf_name: not text"),  # type: ignore[arg-type]
        (Tree((), free=object()), "free: this type has no form"),
        (Tree((), free={"__class__": "x"}), "a marker of the format"),
        (Tree((), extra={"leaves": 1}), "an extra field has the name of a known one"),
        (Tree((), config={"a": object()}), "config: the value can not be written as JSON"),
    ],
)
def test_what_can_not_be_written(value: Tree, says: str) -> None:
    with pytest.raises(DocumentError, match=says):
        REGISTRY.write(value)


def test_what_is_too_deep_to_be_read_is_not_written() -> None:
    deep: Any = 1
    for _ in range(101):
        deep = [deep]
    with pytest.raises(DocumentError, match="nested too deeply"):
        REGISTRY.write(deep)
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(DocumentError, match="nested too deeply"):
        REGISTRY.write(deep)


def test_markers_of_free_values() -> None:
    value = {
        "set": {1, 20, 100}, "frozen": frozenset({"b", "a"}), "items": MappingItems({"a": 1}), "keys": {1: "x", (2): {"y"}},
        "enum": Color.BLUE, "leaf": Leaf("a"), "inf": [math.inf, -math.inf], "none": None, "bools": [True, False, 1, 1.5],
    }  # fmt: skip
    text = REGISTRY.write(value)
    assert json.loads(text)["set"] == {"__set__": [1, 100, 20]}
    assert json.loads(text)["items"] == {"__mapping_items__": [["a", 1]]}
    assert again(value) == value
    assert type(again(value)["items"]) is MappingItems
    assert type(again(value)["set"]) is set
    assert type(again(value)["frozen"]) is frozenset


def test_a_once_codec_writes_a_changed_object_anew() -> None:
    registry = Registry()
    registry.add(Leaf, "Leaf", [Field("name", TEXT)], once=True)
    first, second = Leaf("a"), Leaf("b")
    assert [registry.read(registry.write(leaf)) for leaf in (first, second, first)] == [first, second, first]


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
hashables = scalars | st.builds(Leaf, name=st.text(), weight=st.none() | st.integers())
free = st.recursive(
    scalars | st.sampled_from(Color),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(), inner, max_size=4)
        | st.frozensets(st.text() | st.integers(), max_size=4)
        | st.sets(st.builds(Leaf, name=st.text()), max_size=3)
        | st.builds(MappingItems, st.dictionaries(st.integers() | st.text(), inner, max_size=3))
    ),
    max_leaves=15,
)
trees = st.builds(
    Tree,
    leaves=st.lists(
        st.builds(Leaf, st.text(), st.none() | st.integers(), st.dictionaries(st.text(min_size=12), scalars))
    ).map(tuple),
    color=st.sampled_from(Color),
    tags=st.dictionaries(st.text(), st.text()),
    config=st.dictionaries(st.text(), st.lists(scalars)),
    names=st.frozensets(st.text()),
    free=free,
    flag=st.booleans(),
    place=st.none() | st.builds(Place, st.integers()),
)


@given(trees)
@settings(max_examples=scaled(40, long=2_000))
def test_round_trip(tree: Tree) -> None:
    text = REGISTRY.write(tree)
    assert STRICT.read(text) == tree
    assert REGISTRY.write(STRICT.read(text)) == text
    assert text == json.dumps(json.loads(text), sort_keys=True)


junk = st.recursive(
    scalars | st.sampled_from(["Tree", "OldLeaf", "Colour.RED", "Colour."]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["__class__", "__enum__", "__set__", "__frozenset__", "__mapping_items__", "leaves", "free", "x"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(junk, st.booleans())
def test_any_json_is_read_or_refused_with_one_type(tree: Any, strict: bool) -> None:
    registry = STRICT if strict else REGISTRY
    try:
        value = registry.read(json.dumps(tree))
    except DocumentError:
        return
    assert registry.read(registry.write(value)) == value or "NaN" in json.dumps(tree)


@pytest.mark.parametrize("shape", [TEXT, INT, BOOL])
def test_a_scalar_of_another_type_is_not_written(shape: Any) -> None:
    registry = Registry()
    registry.add(Leaf, "Leaf", [Field("name", shape)])
    with pytest.raises(DocumentError, match="name: not "):
        registry.write(Leaf(1.5))  # type: ignore[arg-type]


def test_objects_in_a_set_are_sorted_by_their_fields_in_order() -> None:
    text = REGISTRY.write({Leaf("b", 1), Leaf("a", 2), Leaf("a", None)})
    assert [(leaf["leaf_name"], leaf["weight"]) for leaf in json.loads(text)["__set__"]] == [
        ("a", 2),
        ("a", None),
        ("b", 1),
    ]
