"""``docs/learn/lifecycle.md`` shows the tables of arcs as they are, and has a word on every state and on all that can happen."""

from __future__ import annotations

import re

import pytest

from lifecycle_page import PAGE, parts_of, printed, with_parts
from runplane.engine.arcs import STEP_ARCS, StepArc, StepState, Stimulus
from runplane.events.status import RunStatus

PARTS = printed()


@pytest.mark.parametrize("name", PARTS)
def test_what_the_page_shows_is_what_the_tables_say(name: str) -> None:
    assert parts_of(PAGE.read_text())[name] == PARTS[name], "python tests/lifecycle_page.py prints it anew"


def test_every_arc_is_in_the_diagram() -> None:
    arcs = {(a.source.value, a.target.value, a.stimulus.name.lower().replace("_", " ")) for a in STEP_ARCS}
    lines = re.findall(r"^ +(\w+) --> (\w+): (.*)$", PARTS["step diagram"], re.MULTILINE)

    assert {(source, target, label) for source, target, labels in lines for label in labels.split(" · ")} == arcs


@pytest.mark.parametrize("words", [RunStatus, StepState, Stimulus], ids=lambda e: e.__name__)
def test_every_word_is_explained_in_a_row_of_its_own(words: type[RunStatus | StepState | Stimulus]) -> None:
    by_hand = with_no_parts(PAGE.read_text())
    explained = {
        word.strip() for row in re.findall(r"^\| (.*?) \|", by_hand, re.MULTILINE) for word in [row, *row.split(",")]
    }

    assert {word.value for word in words} - explained == set()


def test_a_new_arc_makes_the_page_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    more = (*STEP_ARCS, StepArc(StepState.FAILED, Stimulus.WOKE, StepState.READY))
    monkeypatch.setattr("lifecycle_page.STEP_ARCS", more)

    assert printed()["step diagram"] != PARTS["step diagram"]
    assert printed()["step table"] != PARTS["step table"]
    assert with_parts(PAGE.read_text()) != PAGE.read_text()


def with_no_parts(page: str) -> str:
    for part in parts_of(page).values():
        page = page.replace(part, "")
    return page
