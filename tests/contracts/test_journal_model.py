"""Random sequences of calls by several writers, against a model that is too simple to be wrong; replies get lost on the way."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from runplane.errors import ConflictError, FencedError
from runplane.events.event import NewEvent
from runplane.events.kinds import EventKind as K
from runplane.events.run import Run
from runplane.events.status import RunStatus
from runplane.storage.contract import (
    Accepted,
    Append,
    AttemptRef,
    Claimed,
    Finish,
    Issue,
    NotClaimed,
    Op,
    Owner,
    Refused,
    Seal,
)
from runplane.storage.database import Database
from runplane.storage.journal import Journal
from runplane.storage.pools import Pools
from runplane.storage.postgres import PostgresDatabase
from runplane.storage.sqlite import SqliteDatabase
from runplane.testing.journal_contract import LossyDatabase
from scale import scaled

POOLS = {"x": 1, "y": 2}
STEPS = ("a", "b", "c")
ENDS = (K.STEP_SUCCESS, K.STEP_FAILURE, K.STEP_UP_FOR_RETRY)
OPEN = ("issued", "running")
FOUND = (127, 972)
"""Sequences in which an error was once found."""
_numbers = itertools.count(1)


@dataclass
class ModelAttempt:
    state: str
    nonce: str | None = None
    worker: str | None = None
    pools: tuple[str, ...] = ()
    outcome: str | None = None
    batch: int = 0


@dataclass
class Model:
    """What the rules of the protocol say, one `if` after the other."""

    status: str = "STARTED"
    intent: str = "none"
    epoch: int = 1
    kinds: list[str] = field(default_factory=lambda: ["RUN_START"])
    attempts: dict[AttemptRef, ModelAttempt] = field(default_factory=dict)

    def used(self, pool: str) -> int:
        return sum(pool in a.pools for a in self.attempts.values() if a.state in OPEN)

    def of_step(self, step: str) -> list[tuple[int, ModelAttempt]]:
        return [(ref.n, a) for ref, a in self.attempts.items() if ref.step == step]

    @property
    def over(self) -> bool:
        return self.status in ("SUCCESS", "FAILURE", "CANCELED")

    def issuable(self, ref: AttemptRef) -> bool:
        if self.status != "STARTED" or self.intent != "none":
            return False
        return not any(
            n >= ref.n or n == 0 or a.state in OPEN or a.outcome in ("STEP_SUCCESS", "STEP_FAILURE")
            for n, a in self.of_step(ref.step)
        )

    def issue(self, op: Issue) -> bool:
        if not self.issuable(op.ref) or any(self.used(p) >= POOLS[p] for p in op.pools):
            return False
        self.attempts[op.ref] = ModelAttempt(
            "running" if op.worker else "issued", "?" if op.worker else None, op.worker, op.pools
        )
        self.kinds.append("STEP_ISSUED")
        if op.worker:
            self.kinds.append("STEP_WORKER_STARTED")
        return True

    def append(self, op: Append) -> bool:
        facts = [e for e in op.events if e.kind != K.LOG]
        if op.ref is not None:
            row = self.attempts.get(op.ref)
            if row is None or row.nonce is None or row.nonce != op.nonce:
                return False
            if row.state != "running" and (facts or row.state != "done"):
                return False
        for e in facts:
            ref = AttemptRef(e.step or "", e.n or 0)
            row = self.attempts.get(ref)
            if e.kind in (K.STEP_SKIPPED, K.STEP_ABANDONED):
                others = [a for _, a in self.of_step(ref.step)]
                if e.kind == K.STEP_SKIPPED and others:
                    return False
                if any(
                    a.state in (*OPEN, "skipped", "abandoned") or a.outcome in ("STEP_SUCCESS", "STEP_FAILURE")
                    for a in others
                ):
                    return False
            elif row is None or row.state != ("running" if op.ref else "sealed"):
                return False
        for e in facts:
            ref = AttemptRef(e.step or "", e.n or 0)
            if e.kind in (K.STEP_SKIPPED, K.STEP_ABANDONED):
                self.attempts[ref] = ModelAttempt(str(e.kind).removeprefix("STEP_").lower(), outcome=str(e.kind))
            elif e.kind in ENDS:
                self.attempts[ref].state = "done"
                self.attempts[ref].outcome = str(e.kind)
        self.kinds += [str(e.kind) for e in op.events]
        return True

    def seal(self, op: Seal) -> bool:
        row = self.attempts.get(op.ref)
        if row is None or row.state not in OPEN:
            return False
        row.state, row.nonce = "sealed", None
        self.kinds.append("STEP_SEALED")
        return True

    def finish(self, op: Finish) -> bool:
        froms = {"RUN_SUCCESS": ("STARTED",), "RUN_FAILURE": ("STARTED", "CANCELING"), "RUN_CANCELED": ("CANCELING",)}
        if self.status not in froms[op.event.kind] or any(a.state in OPEN for a in self.attempts.values()):
            return False
        self.status = {"RUN_SUCCESS": "SUCCESS", "RUN_FAILURE": "FAILURE", "RUN_CANCELED": "CANCELED"}[op.event.kind]
        self.kinds.append(str(op.event.kind))
        return True

    def apply(self, op: Op) -> bool:
        if isinstance(op, Issue):
            return self.issue(op)
        if isinstance(op, Append):
            return self.append(op)
        return self.seal(op) if isinstance(op, Seal) else self.finish(op)


class Play:
    """Plays one random sequence on a database and on the model."""

    def __init__(self, database: Database, seed: int) -> None:
        self.random = random.Random(seed)
        self.sure = Journal(database)
        self.lossy = Journal(LossyDatabase(database))
        self.pools = Pools(database)
        self.run_id = f"{next(_numbers):032x}"
        self.sure.create(Run(run_id=self.run_id, job_name="job"))
        self.model = Model()
        claim = self.sure.claim_run(self.run_id, owner("first"), [], event(K.RUN_START))
        assert claim is not None
        self.batch = 0
        self.nonces: dict[AttemptRef, str] = {}
        for name, slots in POOLS.items():
            self.pools.set_limit(name, slots)

    @property
    def journal(self) -> Journal:
        """Every fourth call loses its first reply."""
        return self.lossy if self.random.random() < 0.25 else self.sure

    def step(self) -> None:
        calls: list[tuple[int, Any]] = [
            (12, self.commits),
            (4, self.claims),
            (5, self.writes_itself),
            (2, self.annotates),
            (1, self.takes_over),
            (1, self.old_coordinator_writes),
        ]
        if self.random.random() < 0.02:
            self.intends()
        self.random.choices([c for _, c in calls], [w for w, _ in calls])[0]()
        self.compare()

    def ref(self) -> AttemptRef:
        return AttemptRef(self.random.choice(STEPS), self.random.randint(1, 3))

    def op(self) -> Op:
        ref, roll = self.ref(), self.random.random()
        if roll < 0.35:
            pools = tuple(self.random.sample(sorted(POOLS), self.random.choice([0, 0, 1, 2])))
            return Issue(ref, pools, worker=self.random.choice([None, "w"]))
        if roll < 0.5:
            return Seal(ref, "lost", "gone")
        if roll < 0.53:
            return Finish(event(self.random.choice([K.RUN_SUCCESS, K.RUN_FAILURE, K.RUN_CANCELED])))
        if roll < 0.6:
            return Append([log()])
        if roll < 0.65:
            return Append([event(self.random.choice([K.STEP_SKIPPED, K.STEP_ABANDONED]), ref.step)])
        if roll < 0.75:
            return Append([event(self.random.choice([K.STEP_FAILURE, K.STEP_UP_FOR_RETRY]), ref.step, ref.n)])
        return Append(self.own_events(ref), ref, self.nonces.get(ref, "guess"))

    def own_events(self, ref: AttemptRef) -> list[NewEvent]:
        events = [log()] if self.random.random() < 0.5 else [event(K.STEP_OUTPUT, ref.step, ref.n, output="o")]
        if self.random.random() < 0.5:
            events.append(event(self.random.choice(ENDS), ref.step, ref.n))
        return events

    def commits(self) -> None:
        ops = [self.op() for _ in range(self.random.randint(1, 4))]
        if self.model.over:
            with pytest.raises(ConflictError):
                self.journal.commit(self.run_id, self.model.epoch, self.batch + 1, ops)
            return
        self.batch += 1
        done = self.journal.commit(self.run_id, self.model.epoch, self.batch, ops)
        for op, result in zip(ops, done.results, strict=True):
            first = len(self.model.kinds) + 1
            assert isinstance(result, Accepted) is self.model.apply(op), (op, result)
            if isinstance(result, Accepted):
                assert result.first == first
                if isinstance(op, Issue) and op.worker:
                    # An answer that was lost is read back: an attempt that the same batch sealed has no nonce any more.
                    assert result.nonce or any(isinstance(o, Seal) and o.ref == op.ref for o in ops)
                    self.nonces[op.ref] = self.model.attempts[op.ref].nonce = result.nonce or "sealed"
            else:
                assert isinstance(result, Refused)
        assert done.head == len(self.model.kinds)

    def claims(self) -> None:
        ref, worker = self.ref(), self.random.choice(["p", "q"])
        make = self.random.random() < 0.2
        row = self.model.attempts.get(ref)
        got = self.journal.claim(self.run_id, ref, worker, event(K.STEP_WORKER_STARTED, ref.step, ref.n), make=make)
        live = self.model.status == "STARTED" and self.model.intent == "none"
        if row is not None and row.state == "running" and row.worker == worker:
            assert isinstance(got, Claimed)
            assert got.nonce == row.nonce
        elif live and not make and row is not None and row.state == "issued":
            self.claimed(ref, got, row, worker)
        elif make and self.model.issuable(ref):
            self.model.attempts[ref] = ModelAttempt("running")
            self.model.kinds.append("STEP_ISSUED")
            self.claimed(ref, got, self.model.attempts[ref], worker)
        else:
            assert isinstance(got, NotClaimed)

    def claimed(self, ref: AttemptRef, got: Claimed | NotClaimed, row: ModelAttempt, worker: str) -> None:
        assert isinstance(got, Claimed)
        row.state, row.worker, row.nonce = "running", worker, got.nonce
        self.nonces[ref] = got.nonce
        self.model.kinds.append("STEP_WORKER_STARTED")

    def writes_itself(self) -> None:
        ref = self.ref()
        nonce = self.nonces.get(ref, "guess")
        row = self.model.attempts.get(ref)
        number = (row.batch if row else 0) + 1
        events = self.own_events(ref)
        stored = self.journal.append_as_attempt(self.run_id, ref, nonce, number, events)
        assert stored is self.model.append(Append(events, ref, nonce))
        if stored and row is not None:
            row.batch = number

    def annotates(self) -> None:
        assert self.journal.annotate(self.run_id, [log()]) == len(self.model.kinds) + 1
        self.model.kinds.append("LOG")

    def takes_over(self) -> None:
        seen = self.sure.head(self.run_id)
        if self.random.random() < 0.5 and not self.model.over:
            self.sure.beat(self.run_id, self.model.epoch)
            assert self.sure.take_over(seen, owner("never"), event(K.RUN_RESUMED)) is None
            return
        claim = self.journal.take_over(seen, owner(f"o{next(_numbers)}"), event(K.RUN_RESUMED))
        assert (claim is None) is self.model.over
        if claim is not None:
            self.model.epoch += 1
            self.model.kinds.append("RUN_RESUMED")
            self.batch = 0
            assert (claim.epoch, claim.head) == (self.model.epoch, len(self.model.kinds))

    def old_coordinator_writes(self) -> None:
        if self.model.epoch > 1:
            with pytest.raises(FencedError):
                self.journal.commit(self.run_id, self.model.epoch - 1, self.random.randint(1, 50), [self.op()])

    def intends(self) -> None:
        self.journal.intend(self.run_id, "cancel", event(K.RUN_CANCELING), event(K.RUN_CANCELED))
        if self.model.intent == "none" and self.model.status == "STARTED":
            self.model.intent, self.model.status = "cancel", "CANCELING"
            self.model.kinds.append("RUN_CANCELING")

    def compare(self) -> None:
        head = self.sure.head(self.run_id)
        assert (str(head.status), head.intent, head.epoch) == (self.model.status, self.model.intent, self.model.epoch)
        stored = self.sure.tail(self.run_id, 0, 10_000)
        assert [str(e.kind) for e in stored] == self.model.kinds
        assert [e.seq for e in stored] == list(range(1, len(stored) + 1))
        rows = {a.ref: (str(a.state), a.outcome) for a in self.sure.attempts(self.run_id)}
        assert rows == {ref: (a.state, a.outcome) for ref, a in self.model.attempts.items()}
        assert {p.name: p.used for p in self.pools.usage()} == {p: self.model.used(p) for p in POOLS}
        for step in STEPS:
            assert sum(a.state == "running" for _, a in self.model.of_step(step)) <= 1

    def end(self) -> None:
        """Give the slots back: the next sequence uses the same database."""
        for ref, a in self.model.attempts.items():
            if a.state in OPEN:
                self.batch += 1
                self.sure.commit(self.run_id, self.model.epoch, self.batch, [Seal(ref, "lost", "the test is over")])
        assert [p.used for p in self.pools.usage()] == [0, 0]


def event(kind: str, step: str | None = None, n: int | None = None, **body: Any) -> NewEvent:
    return NewEvent(kind, step, n, body, float(next(_numbers)))


def log() -> NewEvent:
    return event(K.LOG, message="hello")


def owner(name: str) -> Owner:
    return Owner(name, "host", "boot", 1, 1)


def test_the_model_knows_the_statuses() -> None:
    assert {"STARTED", "CANCELING", "SUCCESS", "FAILURE", "CANCELED"} <= {s.value for s in RunStatus}


@pytest.fixture(params=["sqlite", "postgresql"])
def model_database(request: pytest.FixtureRequest) -> Iterator[Database]:
    database: Database
    if request.param == "sqlite":
        database = SqliteDatabase(None)
    else:
        url = request.getfixturevalue("session_postgres_url")
        database = PostgresDatabase(url, schema=request.getfixturevalue("fresh_schema"))
    yield database
    database.close()


def test_random_calls_do_what_the_model_does(model_database: Database) -> None:
    for seed in [*FOUND, *range(scaled(40, long=1500))]:
        play = Play(model_database, seed)
        try:
            for _ in range(50):
                play.step()
            play.end()
        except AssertionError as e:
            raise AssertionError(f"seed {seed}") from e
