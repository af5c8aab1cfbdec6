"""What earlier releases stored means the same today; and a history that does not is found out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from runplane.errors import ConflictError, DocumentError
from runplane.testing.replay import History, read_history, record, replay, write_history

HISTORIES = Path(__file__).resolve().parents[2] / "histories"
FILES = sorted(HISTORIES.glob("*/*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_a_recorded_history_means_the_same_today(path: Path) -> None:
    replay(read_history(path))


def test_each_release_recorded_thirty() -> None:
    assert {folder.name: len(list(folder.glob("*.json"))) for folder in HISTORIES.iterdir()} == {"0.1": 30}


def one() -> History:
    return read_history(HISTORIES / "0.1" / "real_a_map.json")


def test_a_history_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_history(one(), tmp_path / "again.json")

    assert read_history(tmp_path / "again.json") == one()


def test_a_history_says_what_it_is() -> None:
    history = one()

    assert history.states == {
        "gather": "SUCCEEDED",
        "make": "SUCCEEDED",
        "work[0]": "SUCCEEDED",
        "work[1]": "SUCCEEDED",
        "work[2]": "SUCCEEDED",
    }
    assert history.to_do[0] == ("issue make#1 retry 0",)
    assert history.to_do[-1] == ("finish RUN_SUCCESS",)


def test_another_answer_is_named_with_its_place() -> None:
    history = one()
    changed = replace(history, to_do=(*history.to_do[:1], ("issue other#1 retry 0",), *history.to_do[2:]))

    with pytest.raises(AssertionError, match=r"after RUN_START \(fact 1\): .*make#1.*, but 0.1.0 said .*other#1"):
        replay(changed)


def test_another_end_is_named() -> None:
    with pytest.raises(AssertionError, match=r"ends: \{'gather': 'SUCCEEDED'\}, but 0.1.0 said"):
        replay(replace(one(), states={**one().states, "gather": "SKIPPED"}))


def test_a_fact_that_makes_no_sense_is_refused() -> None:
    history = one()

    with pytest.raises(ConflictError, match="STEP_SUCCESS of attempt 1, but attempt 0 is the newest"):
        replay(replace(history, facts=(history.facts[-2], *history.facts[1:])))


def test_events_that_move_nothing_are_not_recorded() -> None:
    history = one()
    noisy = replace(history, facts=(replace(history.facts[0], kind="LOG", step=None, n=None), *history.facts))

    assert record(noisy) == history


@pytest.mark.parametrize(
    "text", ["{", "{}", json.dumps({"kind": "history", "v": 2}), json.dumps({"kind": "plan", "v": 1})]
)
def test_what_is_no_history_is_an_error_that_names_the_file(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)

    with pytest.raises(DocumentError, match=r"x\.json: this is no"):
        read_history(path)
