"""What the claim's reply holds: all that a step process has to know, and no more of a large plan than of a small one."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from runplane.engine import snapshot
from runplane.engine.inputs import gather_inputs
from runplane.engine.snapshot import (
    InputPlan,
    OutputPlan,
    OutputRef,
    PlanSnapshot,
    StepPlan,
    StoredOutput,
    plan_from_body,
    plan_id,
    plan_to_body,
)
from runplane.errors import DocumentError
from runplane.events.event import NewEvent
from runplane.events.kinds import EventKind as K
from runplane.events.run import Run
from runplane.storage.contract import Append, AttemptRef, Claimed, Issue, Owner, StepBrief
from runplane.storage.database import Database
from runplane.storage.dialect import Outcome, Statement
from runplane.storage.journal import Journal
from runplane.storage.postgres import PostgresDatabase
from runplane.storage.sqlite import SqliteDatabase

OWNER = Owner("w", "host", "boot", 1, 1)
_ids = itertools.count(1)


class Counted:
    """A database that counts what it is asked and what it gives back."""

    def __init__(self, inner: Database) -> None:
        self._inner = inner
        self.dialect = inner.dialect
        self.where = inner.where
        self.clear()

    def clear(self) -> None:
        self.trips = self.rows = self.bytes = 0

    def transact(self, statements: Sequence[Statement]) -> list[Outcome]:
        done = self._inner.transact(statements)
        self._count(row for outcome in done for row in outcome.rows)
        return done

    def read(self, sql: str, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        rows = self._inner.read(sql, params)
        self._count(rows)
        return rows

    def wait_for_news(self, timeout_s: float) -> bool:
        return self._inner.wait_for_news(timeout_s)

    def release(self) -> None:
        self._inner.release()

    def close(self) -> None:
        self._inner.close()

    def _count(self, rows: Any) -> None:
        self.trips += 1
        for row in rows:
            self.rows += 1
            self.bytes += sum(len(cell) if isinstance(cell, (str, bytes)) else 8 for cell in row)


@pytest.fixture(params=["sqlite", "postgresql"])
def counted(request: pytest.FixtureRequest) -> Iterator[Counted]:
    database: Database
    if request.param == "sqlite":
        database = SqliteDatabase(None)
    else:
        url = request.getfixturevalue("session_postgres_url")
        database = PostgresDatabase(url, schema=request.getfixturevalue("fresh_schema"))
    yield Counted(database)
    database.close()


class Started:
    """A run of a plan, STARTED, whose steps read storage themselves."""

    def __init__(self, database: Counted, plan: PlanSnapshot, *, divided: bool = True) -> None:
        self.database = database
        self.journal = Journal(database)
        self.run_id = f"{next(_ids):032x}"
        self._batch = 0
        plan_id = self.journal.put_plan(plan)
        if divided:
            self.journal.put_steps(plan)
        tags = {"team": "a"}
        self.journal.create(Run(run_id=self.run_id, job_name="job", plan_id=plan_id, run_config={"x": 1}, tags=tags))
        claim = self.journal.claim_run(self.run_id, OWNER, [], NewEvent(K.RUN_START, None, None, {}, 1.0))
        assert claim is not None
        self.epoch = claim.epoch

    def commit(self, *ops: Any) -> Any:
        self._batch += 1
        return self.journal.commit(self.run_id, self.epoch, self._batch, ops)

    def succeeds(self, step: str, output: str = "result", mapping_keys: Sequence[str | None] = (None,)) -> None:
        ref = AttemptRef(step, 1)
        (issued,) = self.commit(Issue(ref, worker="w")).results
        outputs = [
            NewEvent(K.STEP_OUTPUT, step, 1, {"output": output, "mapping_key": key, "location": {"of": step}}, 1.0)
            for key in mapping_keys
        ]
        self.commit(Append([*outputs, NewEvent(K.STEP_SUCCESS, step, 1, {}, 1.0)], ref, issued.nonce))

    def claim(self, step: str) -> Claimed:
        self.commit(Issue(AttemptRef(step, 1)))
        self.database.clear()
        event = NewEvent(K.STEP_WORKER_STARTED, step, 1, {}, 1.0)
        claimed = self.journal.claim(self.run_id, AttemptRef(step, 1), "pod", event)
        assert isinstance(claimed, Claimed)
        return claimed

    def inputs(self, step: str) -> dict[str, list[tuple[str, str | None]]]:
        brief = self.claim(step).brief
        assert brief.planned is not None
        found = gather_inputs(
            brief.planned, step, brief.outputs, lambda steps: self.journal.outputs(self.run_id, steps)
        )
        return {name: [(o.step, o.mapping_key) for o in values] for name, values in found.items()}


def step(key: str, *inputs: InputPlan, over: OutputRef | None = None, dynamic: bool = False) -> StepPlan:
    return StepPlan(key, key, key, inputs, (OutputPlan("result", dynamic=dynamic),), mapped_over=over)


def takes(*sources: str, **how: bool) -> InputPlan:
    return InputPlan("x", tuple(OutputRef(s, "result") for s in sources), **how)


def layered(steps: int) -> PlanSnapshot:
    """Each step takes from the two before it."""
    before = [step("op_0"), step("op_1")]
    return PlanSnapshot(
        "job",
        (*before, *(step(f"op_{i}", takes(f"op_{i - 1}", f"op_{i - 2}", fan_in=True)) for i in range(2, steps))),
    )


SPREAD = OutputRef("spread", "result")
DYNAMIC = PlanSnapshot(
    "job",
    (
        step("plain"),
        step("spread", dynamic=True),
        step("work[?]", InputPlan("x", (SPREAD,)), InputPlan("more", (OutputRef("plain", "result"),)), over=SPREAD),
        step("next[?]", takes("work[?]"), over=SPREAD),
        step("collected", takes("work[?]", collect=True)),
        step("all", takes("spread", collect=True)),
    ),
)


def test_a_claim_brings_what_the_step_has_to_know_in_one_round_trip(counted: Counted) -> None:
    started = Started(counted, layered(10))
    for key in ("op_0", "op_1", "op_2", "op_3"):
        started.succeeds(key)

    claimed = started.claim("op_4")

    assert counted.trips == 1
    brief = claimed.brief
    assert (brief.run.run_id, brief.run.run_config, brief.run.tags) == (started.run_id, {"x": 1}, {"team": "a"})
    assert brief.planned is not None
    assert brief.planned.step == layered(10).step("op_4")
    assert [(o.step, o.location) for o in brief.outputs] == [("op_2", {"of": "op_2"}), ("op_3", {"of": "op_3"})]


def test_what_a_claim_reads_does_not_grow_with_the_plan(counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[str] = []
    whole = snapshot.step_from_body

    def counting(body: Mapping[str, Any]) -> StepPlan:
        decoded.append(body["key"])
        return whole(body)

    for module in ("runplane.engine.snapshot", "runplane.engine.planned_step"):
        monkeypatch.setattr(f"{module}.step_from_body", counting)

    def cost(steps: int) -> tuple[int, int, int, list[str]]:
        started = Started(counted, layered(steps))
        for i in range(4):
            started.succeeds(f"op_{i}")
        decoded.clear()
        started.claim("op_4")
        return counted.trips, counted.rows, counted.bytes, list(decoded)

    small, large = cost(10), cost(10_000)

    assert large == small
    assert small[3] == ["op_4"]


def test_what_a_mapped_step_reads_does_not_grow_with_its_siblings(counted: Counted) -> None:
    def cost(siblings: int) -> tuple[int, int]:
        started = Started(counted, DYNAMIC)
        started.succeeds("plain")
        started.succeeds("spread", mapping_keys=[f"{i:04}" for i in range(siblings)])
        assert [o.mapping_key for o in started.claim("work[0001]").brief.outputs] == [None, "0001"]
        return counted.rows, counted.bytes

    assert cost(2000) == cost(2)


def test_mapped_steps_and_collectors_find_their_inputs(counted: Counted) -> None:
    started = Started(counted, DYNAMIC)
    started.succeeds("plain")
    started.succeeds("spread", mapping_keys=["b", "a"])
    started.succeeds("work[a]")
    started.succeeds("work[b]")

    assert started.inputs("next[a]") == {"x": [("work[a]", None)]}
    assert started.inputs("collected") == {"x": [("work[b]", None), ("work[a]", None)]}
    assert started.inputs("all") == {"x": [("spread", "b"), ("spread", "a")]}


def test_a_re_execution_finds_what_earlier_runs_made(counted: Counted) -> None:
    known = (
        StoredOutput("old", "unrelated", "result", None, None),
        StoredOutput("old", "spread", "result", "a", {"at": 1}),
        StoredOutput("old", "work[a]", "result", None, {"at": 2}),
    )
    plan = replace(DYNAMIC, known_outputs=known, known_steps=("work[a]",))
    started = Started(counted, plan)

    claimed = started.claim("collected")

    assert claimed.brief.planned is not None
    assert claimed.brief.planned.known == known[1:]
    found = gather_inputs(claimed.brief.planned, "collected", claimed.brief.outputs, lambda _: [])
    assert found == {"x": [known[2]]}


def test_outputs_of_attempts_that_did_not_succeed_are_not_there(counted: Counted) -> None:
    started = Started(counted, layered(10))
    started.succeeds("op_0")
    ref = AttemptRef("op_1", 1)
    (issued,) = started.commit(Issue(ref, worker="w")).results
    output = NewEvent(K.STEP_OUTPUT, "op_1", 1, {"output": "result"}, 1.0)
    started.commit(Append([output, NewEvent(K.STEP_FAILURE, "op_1", 1, {}, 1.0)], ref, issued.nonce))

    assert [o.step for o in started.claim("op_2").brief.outputs] == ["op_0"]


def test_a_plan_that_is_stored_as_a_whole_only_is_divided_at_the_first_claim(counted: Counted) -> None:
    started = Started(counted, layered(10), divided=False)
    started.succeeds("op_0")
    started.succeeds("op_1")

    first, second = started.inputs("op_2"), started.claim("op_3")

    assert first == {"x": [("op_1", None), ("op_0", None)]}
    assert counted.trips == 1
    assert second.brief.planned is not None


def test_a_step_that_the_plan_does_not_have_is_not_known(counted: Counted) -> None:
    started = Started(counted, layered(10))

    brief: StepBrief = started.journal.brief(started.run_id, "op_99")

    assert brief.planned is None


def test_a_step_that_a_newer_version_stored_is_refused(counted: Counted) -> None:
    started = Started(counted, layered(10))
    newer = started.journal.rules.named("UPDATE {plan_step} SET version = 2")
    counted.transact([Statement(newer, {})])

    with pytest.raises(DocumentError, match="newer runplane"):
        started.journal.brief(started.run_id, "op_1")


def test_a_plan_that_was_read_has_the_id_it_was_stored_under() -> None:
    known = (StoredOutput("old", "spread", "result", "a", {"at": 1}),)
    plan = replace(DYNAMIC, executor={"name": "e", "config": {"n": [1]}}, known_outputs=known, tags={"a": "b"})
    body = plan_to_body(plan)

    read = plan_from_body(json.loads(json.dumps(body)))

    assert plan_id(plan_to_body(read)) == plan_id(body)
