"""The collector of garbage rests while a program imports what it is made of, and works afterwards."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from runplane.executors.collector import resting


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    gc.enable()


def test_it_rests_and_then_works_and_leaves_alone_what_is_there() -> None:
    frozen = gc.get_freeze_count()

    with resting():
        during = gc.isenabled()
        made = [[] for _ in range(10)]

    assert (during, gc.isenabled()) == (False, True)
    assert gc.get_freeze_count() >= frozen + len(made)


def test_it_works_again_when_an_import_fails() -> None:
    with pytest.raises(ImportError), resting():
        raise ImportError

    assert gc.isenabled()


def test_where_it_was_turned_off_it_stays_so() -> None:
    gc.disable()

    with resting():
        pass

    assert not gc.isenabled()
