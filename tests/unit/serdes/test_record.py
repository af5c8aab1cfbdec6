"""A record is compared, hashed, shown, copied and taken apart as a frozen dataclass is; beside each test stands one that is."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import pytest

from runplane.serdes.record import record


@record
class Point:
    x: int
    y: int = 2
    note: str = field(default="", compare=False)
    secret: str = field(default="s", repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Frozen:
    x: int
    y: int = 2
    note: str = field(default="", compare=False)
    secret: str = field(default="s", repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


@record
class Wider(Point):
    z: int = 0


@record
class Empty:
    pass


@record
class Shown:
    x: int

    def __repr__(self) -> str:
        return "its own"


CASES = [
    ((1,), (1,)),
    ((1,), (2,)),
    ((1, 2, "a"), (1, 2, "b")),
    ((1, 2, "", "s"), (1, 2, "", "t")),
    ((1, 2, "", "s", {"a": 1}), (1, 2, "", "s", {"a": 2})),
]


@pytest.mark.parametrize(("one", "other"), CASES)
def test_it_is_equal_and_hashed_as_a_frozen_dataclass_is(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    assert (Point(*one) == Point(*other)) is (Frozen(*one) == Frozen(*other))
    assert (hash(Point(*one)) == hash(Point(*other))) is (hash(Frozen(*one)) == hash(Frozen(*other)))


def test_another_class_is_another_value() -> None:
    assert Point(1) != Frozen(1)
    assert Point(1) != Wider(1)
    assert Point(1) != (1, 2, "", "s", {})
    assert Wider(1) == Wider(1, z=0)
    assert Empty() == Empty()
    assert hash(Empty()) == hash(Empty())


def test_a_value_that_can_not_be_hashed_is_an_error_of_its_hash_alone() -> None:
    assert Shown([]) == Shown([])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="unhashable"):
        hash(Shown([]))  # type: ignore[arg-type]


def test_it_is_shown_without_what_is_not_to_be_shown() -> None:
    assert repr(Point(1, note="n")) == repr(Frozen(1, note="n")).replace("Frozen", "Point")
    assert "s'" not in repr(Point(1))
    assert repr(Shown(1)) == "its own"


def test_what_dataclasses_offers_works() -> None:
    assert replace(Point(1), x=5) == Point(5)
    assert [f.name for f in fields(Point)] == [f.name for f in fields(Frozen)]
    assert asdict(Point(1)) == asdict(Frozen(1))
    assert copy.deepcopy(Point(1, extra={"a": [1]})) == Point(1, extra={"a": [1]})
    assert pickle.loads(pickle.dumps(Wider(1, z=3))) == Wider(1, z=3)
    match Point(1):
        case Point(x, y):
            assert (x, y) == (1, 2)


def test_it_has_no_room_for_anything_else() -> None:
    with pytest.raises(AttributeError):
        Point(1).w = 2  # type: ignore[attr-defined]
