"""A record is compared, hashed, shown, copied and taken apart as a frozen dataclass is; beside each test stands one that is."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, replace
from typing import Any

import pytest

from runplane.serdes.record import frozen_record, record, write_all


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


# What stands for ``__init__`` until somebody asks for it ---------------------------------------------------------------------


def classes(made_by: Any) -> Any:
    """A class of each sort of field, made by one of the decorators."""

    @made_by
    class All:
        a: int
        b: str = "b"
        c: list[int] = field(default_factory=list)
        d: int = field(default=4, init=False)
        e: int = field(init=False)
        f: set[int] = field(default_factory=set, init=False)
        g: int = field(kw_only=True)
        h: int = field(default=8, kw_only=True)

        def __post_init__(self) -> None:
            object.__setattr__(self, "e", self.a + self.d)

    return All


@pytest.mark.parametrize("made_by", [record, frozen_record])
@pytest.mark.parametrize(
    ("words", "named"),
    [
        ((1,), {"g": 7}),
        ((1, "x", [2]), {"g": 7, "h": 9}),
        ((), {"a": 1, "g": 7}),
        ((), {}),
        ((1,), {}),
        ((1, 2, 3, 4), {"g": 7}),
        ((1,), {"g": 7, "d": 1}),
        ((1,), {"g": 7, "a": 2}),
    ],
)
def test_it_is_called_as_a_frozen_dataclass_is(made_by: Any, words: tuple[Any, ...], named: dict[str, Any]) -> None:
    ours, theirs = classes(made_by), classes(dataclass(frozen=True))

    def called(kind: Any) -> Any:
        try:
            return asdict(kind(*words, **named))
        except TypeError as e:
            return str(e).replace(kind.__qualname__, "")

    assert called(ours) == called(theirs)
    assert called(ours) == called(theirs)  # the first call wrote what the second one uses


@pytest.mark.parametrize("made_by", [record, frozen_record])
def test_each_one_has_lists_of_its_own(made_by: Any) -> None:
    kind = classes(made_by)

    assert kind(1, g=1).c is not kind(1, g=1).c
    assert kind(1, g=1).f is not kind(1, g=1).f


@pytest.mark.parametrize("made_by", [record, frozen_record])
def test_its_signature_is_known_before_the_first_one_is_made(made_by: Any) -> None:
    ours, theirs = inspect.signature(classes(made_by)), inspect.signature(classes(dataclass(frozen=True)))

    assert str(ours) == str(theirs)


def test_a_class_derived_from_one_calls_it_as_any_other() -> None:
    class Derived(classes(record)):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(5, g=6)

    assert (Derived().a, Derived().g) == (5, 6)


def test_its_own_init_stays() -> None:
    @frozen_record
    class Own:
        a: int

        def __init__(self, text: str) -> None:
            object.__setattr__(self, "a", int(text))

    assert Own("3").a == 3


def test_all_are_written_for_who_forks() -> None:
    kind = classes(record)
    assert not inspect.isfunction(vars(kind)["__init__"])

    write_all()

    assert inspect.isfunction(vars(kind)["__init__"])
    assert kind(1, g=2).c == []


# What users hold -------------------------------------------------------------------------------------------------------------


@frozen_record
class Held:
    a: int
    b: str = ""


class Named(Held):
    """As a user may derive one."""


def test_what_users_hold_does_not_change() -> None:
    held = Held(1)

    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'a'"):
        held.a = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'c'"):
        held.c = 2  # type: ignore[attr-defined]
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'a'"):
        del held.a
    assert held == Held(1)
    assert pickle.loads(pickle.dumps(held)) == held


def test_a_class_that_a_user_derives_may_have_more() -> None:
    named = Named(1)

    named.note = "mine"  # type: ignore[attr-defined]
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'a'"):
        named.a = 2  # type: ignore[misc]

    assert (named.note, named.a) == ("mine", 1)  # type: ignore[attr-defined]
    del named.note  # type: ignore[attr-defined]
    assert not hasattr(named, "note")
