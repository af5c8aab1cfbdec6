"""``instance concurrency``: limits, who holds a slot, who waits."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from runplane.engine.snapshot import InputPlan, OutputRef, PlanSnapshot, StepPlan
from runplane.events.event import NewEvent
from runplane.events.kinds import EventKind as K
from runplane.instance.instance import Instance, RunRequest
from runplane.storage.contract import AttemptRef, Issue, Owner

DB = ("db",)
PLAN = PlanSnapshot(
    "job",
    (
        StepPlan("a", "a", "a", pools=DB),
        StepPlan("b", "b", "b", pools=DB),
        StepPlan("after", "after", "after", inputs=(InputPlan("x", (OutputRef("a", "result"),)),), pools=DB),
        StepPlan("free", "free", "free"),
    ),
)


@pytest.fixture
def run_id(home: Path, runplane) -> str:
    """A run whose step `a` holds the only slot of the pool."""
    runplane("instance", "concurrency", "set", "db", "1")
    with Instance.from_home(home) as instance:
        made = instance.create(RunRequest("job", plan=PLAN)).run_id
        start = NewEvent(K.RUN_START, None, None, {}, time.time())
        claim = instance.journal.claim_run(made, Owner("w", "h", "b", 1, 1), [], start)
        assert claim is not None
        instance.journal.commit(made, claim.epoch, 1, [Issue(AttemptRef("a", 1), DB, worker="w")])
    return made


def test_limits_are_set_and_forgotten(home: Path, runplane) -> None:
    assert "No pool was set or used yet." in runplane("instance", "concurrency", "list").stderr
    assert runplane("instance", "concurrency", "set", "db", "3").stdout == "db: limit 3, 0 taken\n"
    assert runplane("instance", "concurrency", "list").stdout == "db: limit 3, 0 taken\n"
    assert runplane("instance", "concurrency", "delete", "db").stdout == "db: forgotten.\n"
    assert json.loads(runplane("instance", "concurrency", "list", "--json").stdout) == {"pools": []}


def test_who_holds_a_slot_and_who_waits_for_one(run_id: str, runplane) -> None:
    shown = runplane("instance", "concurrency", "list")
    document = json.loads(runplane("instance", "concurrency", "list", "db", "--json").stdout)

    assert shown.stdout.splitlines() == [
        "db: limit 1, 1 taken",
        f"    held by  {run_id[:8]}  a",
        f"    waits    {run_id[:8]}  b",
    ]
    assert document["pools"] == [
        {
            "name": "db",
            "limit": 1,
            "used": 1,
            "is_default": False,
            "holders": [{"run_id": run_id, "step": "a", "attempt": 1}],
            "waiting": [{"run_id": run_id, "step": "b"}],
        }
    ]


def test_nobody_waits_for_a_pool_that_has_room(run_id: str, runplane) -> None:
    runplane("instance", "concurrency", "set", "db", "2")

    assert "waits" not in runplane("instance", "concurrency", "list").stdout


def test_a_pool_in_use_is_not_forgotten(run_id: str, runplane) -> None:
    done = runplane("instance", "concurrency", "delete", "db")

    assert done.exit_code == 2
    assert "in use" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["set", "db", "1001"], "at most 1000"),
        (["set", "--", "db", "-1"], "0 or more"),
        (["set", "db", "many"], "not a valid integer"),
        (["delete", "dbs"], "no pool 'dbs' was set or used"),
    ],
)
def test_what_can_not_be_is_refused(run_id: str, runplane, words: list[str], said: str) -> None:
    done = runplane("instance", "concurrency", *words)

    assert done.exit_code == 2
    assert said in done.stderr
