"""A message is read strictly: what is no hint of this instance is refused by name, before anything of it is decoded."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from runplane.celery_app.hint import MOST_BYTES, Hint, Message, Refusal, read

HINT = Hint("i", "run", "step", 2, "q")


def message(kwargs: Any = None, *, args: Any = (), embed: Any = None, **more: Any) -> Message:
    body = json.dumps([list(args), HINT.to_kwargs() if kwargs is None else kwargs, embed or {}]).encode()
    given: dict[str, Any] = {
        "queue": "q",
        "headers": {"task": "runplane.step"},
        "content_type": "application/json",
        "content_encoding": "utf-8",
        "body": body,
    }
    return Message(**{**given, **more})


def test_a_hint_comes_back_as_it_was() -> None:
    assert read(message(), "i") == HINT


def test_fields_of_a_later_minor_version_are_ignored() -> None:
    assert read(message({**HINT.to_kwargs(), "sent_at": 1.0}), "i") == HINT


def test_the_hint_of_a_run_has_a_task_of_its_own() -> None:
    hint = Hint("i", "run", "", 1, "q")

    assert (hint.task_name, hint.task_id) == ("runplane.run", "run.1")
    assert read(message(hint.to_kwargs(), headers={"task": "runplane.run"}), "i") == hint


@pytest.mark.parametrize(
    ("sent", "why", "is_others"),
    [
        (message(headers={"task": "runplane.run"}), "malformed", False),
        (message({**HINT.to_kwargs(), "kind": "run"}), "malformed", False),
        (message({**HINT.to_kwargs(), "kind": "run"}, headers={"task": "runplane.run"}), "malformed", False),
        (message({**HINT.to_kwargs(), "step": ""}), "malformed", False),
        (message(headers={"task": "execute_plan"}), "foreign", True),
        (message(headers={}), "foreign", False),
        (message({**HINT.to_kwargs(), "instance": "another"}), "foreign", True),
        (message({**HINT.to_kwargs(), "version": 2}), "other_version", True),
        (message({**HINT.to_kwargs(), "version": 0}), "other_version", False),
        (message({**HINT.to_kwargs(), "version": True}), "malformed", False),
        (message({**HINT.to_kwargs(), "kind": "shell"}), "malformed", False),
        (message({**HINT.to_kwargs(), "attempt": 0}), "malformed", False),
        (message({**HINT.to_kwargs(), "attempt": True}), "malformed", False),
        (message({**HINT.to_kwargs(), "queue": "other"}), "malformed", False),
        (message({"kind": "step", "version": 1}), "malformed", False),
        (message([]), "malformed", False),
        (message(body=b"{"), "malformed", False),
        (message(body=b"[1, 2]"), "malformed", False),
        (message(body=b"[" * 10_000), "malformed", False),
        (message(body=pickle.dumps(HINT)), "malformed", False),
        (message(body=b"x" * (MOST_BYTES + 1)), "too_big", False),
        (message(content_type="application/x-python-serialize"), "content_type", False),
        (message(content_type="application/x-yaml"), "content_type", False),
        (message(content_encoding="binary"), "content_type", False),
        (message(headers={"task": "runplane.step", "compression": "application/x-gzip"}), "compressed", False),
        (message(headers={"task": "runplane.step", "eta": "2099-01-01"}), "has_more", False),
        (message(args=["x"]), "has_more", False),
        (message(embed={"chain": [{"task": "x"}]}), "has_more", False),
        (message(embed={"callbacks": [{"task": "x"}]}), "has_more", False),
    ],
)
def test_what_is_none_is_refused_by_name(sent: Message, why: str, is_others: bool) -> None:
    found = read(sent, "i")

    assert isinstance(found, Refusal)
    assert (found.why, found.is_others) == (why, is_others)
