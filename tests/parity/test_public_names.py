"""Each public name of Dagster, and each member of its results and contexts, stands in the docs as same, different or absent, and is so."""

from __future__ import annotations

import os
import sys

import pytest

import runplane
from dagster_page import PAGE, Side, output_of, page
from runplane.definitions.absent_names import ABSENT, absent


@pytest.fixture(scope="module")
def theirs() -> Side:
    python = os.environ.get("RUNPLANE_DAGSTER_PYTHON")
    if not python:
        if os.environ.get("CI"):
            pytest.fail("RUNPLANE_DAGSTER_PYTHON is not set, and CI skips nothing")
        pytest.skip("RUNPLANE_DAGSTER_PYTHON names no Python with a Dagster in it")
    return output_of(python, "dagster")


def test_every_name_is_there_or_says_why_not(theirs: Side) -> None:
    public = set(runplane.__all__)

    assert [n for n in theirs["names"] if n not in public and absent(n) is None] == []
    assert [n for group in ABSENT for n in group.names if n in public] == []
    assert [n for group in ABSENT for n in group.names if n not in theirs["names"]] == []


def test_the_page_says_what_is_so(theirs: Side) -> None:
    assert PAGE.read_text() == page(theirs, output_of(sys.executable, "runplane")), (
        "python tests/dagster_page.py writes it"
    )
