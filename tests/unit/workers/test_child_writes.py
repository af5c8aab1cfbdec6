"""What a forked step has its worker write, and what it writes itself."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import pytest

from runplane.errors import NotFoundError, StorageUnavailableError
from runplane.events.event import NewEvent
from runplane.events.kinds import EventKind
from runplane.events.run import Run
from runplane.serdes.record import record
from runplane.storage.contract import AttemptRef, Claimed, NotClaimed, StepBrief
from runplane.workers.child_writes import APPEND, CLAIM, MOST_BYTES, MOST_EVENTS, ByWorker, ChildWrites
from runplane.workers.step_order import ref_of_order

RUN_ID = "0f2f65e4-6f5c-4c33-9f43-0d1d5a2b7c11"
REF = AttemptRef("a_step", 2)
STARTED = NewEvent(EventKind.STEP_WORKER_STARTED, "a_step", 2, {"pid": 7}, 1.5)
OUTPUT = NewEvent(EventKind.STEP_OUTPUT, "a_step", 2, {"output": "result"}, 2.5, b"\x00\xff")
CLAIMED = Claimed(2, "nonce", 1, 1, StepBrief(Run(RUN_ID, "a_job"), None, ()))


@record
class Batch:
    """What was to be stored."""

    run_id: str
    ref: AttemptRef
    nonce: str
    number: int
    events: tuple[NewEvent, ...]


class Kept:
    """A journal that keeps what it is asked for, and fails as it is told to."""

    def __init__(self, *fails: Exception, stores: bool = True) -> None:
        self.fails = list(fails)
        self.stores = stores
        self.claims: list[tuple[str, AttemptRef, str, NewEvent, bool]] = []
        self.batches: list[Batch] = []

    def claim(
        self, run_id: str, ref: AttemptRef, worker: str, event: NewEvent, *, make: bool = False
    ) -> Claimed | NotClaimed:
        if self.fails:
            raise self.fails.pop(0)
        self.claims.append((run_id, ref, worker, event, make))
        return CLAIMED if len(self.claims) == 1 else NotClaimed("duplicate", "of the first")

    def append_as_attempt(
        self, run_id: str, ref: AttemptRef, nonce: str, batch: int, events: Sequence[NewEvent]
    ) -> bool:
        if self.fails:
            raise self.fails.pop(0)
        self.batches.append(Batch(run_id, ref, nonce, batch, tuple(events)))
        return self.stores


class Talk:
    """A step's process and its worker, without the processes between them."""

    def __init__(self, of_worker: Kept, order: AttemptRef | None = None) -> None:
        self.own, self.worker = Kept(), of_worker
        self.wakes = 0
        self.writes = ChildWrites(of_worker, self._wake)
        self.order = order or ref_of_order(RUN_ID, REF)
        self.step = ByWorker(self.ask, self.order, self.own)

    def _wake(self) -> None:
        self.wakes += 1

    def ask(self, kind: str, details: object) -> bytes | None:
        answers: list[bytes | None] = []
        self.writes.want(self.order, kind, details, answers.append)
        for _turn in range(5):
            with suppress(StorageUnavailableError):
                self.writes.write_all()
        (answer,) = answers
        return answer


def test_the_worker_claims_and_stores_the_end() -> None:
    talk = Talk(Kept())

    claims = [talk.step.claim(RUN_ID, REF, "me", STARTED) for _ in range(2)]
    is_stored = talk.step.append_as_attempt(RUN_ID, REF, "nonce", 3, [STARTED, OUTPUT])

    assert claims == [CLAIMED, NotClaimed("duplicate", "of the first")]
    assert is_stored is True
    assert talk.worker.claims == [(RUN_ID, REF, "me", STARTED, False)] * 2
    assert talk.worker.batches == [Batch(RUN_ID, REF, "nonce", 3, (STARTED, OUTPUT))]
    assert (talk.own.claims, talk.own.batches) == ([], [])
    assert talk.wakes == 3


def test_an_attempt_that_was_sealed_hears_so() -> None:
    assert Talk(Kept(stores=False)).step.append_as_attempt(RUN_ID, REF, "nonce", 1, [OUTPUT]) is False


def test_a_database_that_is_away_is_waited_for() -> None:
    away = StorageUnavailableError("it is away")
    talk = Talk(Kept(away, away))

    claimed = talk.step.claim(RUN_ID, REF, "me", STARTED)

    assert claimed == CLAIMED
    assert len(talk.worker.claims) == 1, "nothing is asked twice that was answered"
    assert talk.own.claims == []


def test_what_the_worker_can_not_write_the_step_writes_itself_and_hears_why() -> None:
    talk = Talk(Kept(NotFoundError("no such run"), NotFoundError("no such run")))

    claimed = talk.step.claim(RUN_ID, REF, "me", STARTED)
    talk.step.append_as_attempt(RUN_ID, REF, "nonce", 1, [OUTPUT])

    assert claimed == CLAIMED
    assert talk.own.claims == [(RUN_ID, REF, "me", STARTED, False)]
    assert talk.own.batches == [Batch(RUN_ID, REF, "nonce", 1, (OUTPUT,))]


LARGE = [OUTPUT._replace(value=bytes(MOST_BYTES + 1))]
WORDY = [OUTPUT._replace(body={"text": "x" * MOST_BYTES})]
MANY = [STARTED] * (MOST_EVENTS + 1)


@pytest.mark.parametrize("events", [LARGE, WORDY, MANY])
def test_what_would_keep_others_waiting_the_step_stores_itself(events: list[NewEvent]) -> None:
    talk = Talk(Kept())

    talk.step.append_as_attempt(RUN_ID, REF, "nonce", 1, events)

    assert [batch.events for batch in talk.own.batches] == [tuple(events)]
    assert talk.worker.batches == []


@pytest.mark.parametrize(
    ("run_id", "ref"), [("another", REF), (RUN_ID, AttemptRef("a_step", 3)), (RUN_ID, AttemptRef("b", 2))]
)
def test_the_worker_is_asked_for_its_own_attempt_only(run_id: str, ref: AttemptRef) -> None:
    talk = Talk(Kept())

    talk.step.claim(run_id, ref, "me", STARTED)
    talk.step.append_as_attempt(run_id, ref, "nonce", 1, [OUTPUT])

    assert [claim[:2] for claim in talk.own.claims] == [(run_id, ref)]
    assert [(batch.run_id, batch.ref) for batch in talk.own.batches] == [(run_id, ref)]
    assert (talk.worker.claims, talk.worker.batches) == ([], [])


def test_an_attempt_that_nobody_issued_is_claimed_by_its_process() -> None:
    talk = Talk(Kept())

    talk.step.claim(RUN_ID, REF, "me", STARTED, make=True)

    assert talk.own.claims == [(RUN_ID, REF, "me", STARTED, True)]


@pytest.mark.parametrize(
    ("kind", "details"),
    [
        ("value", ["output"]),
        (CLAIM, None),
        (CLAIM, []),
        (CLAIM, ["me", [1, 2]]),
        (APPEND, ["nonce", "three", []]),
        (APPEND, ["nonce", 1, 7]),
        (APPEND, ["nonce", 1, [[]]]),
        (APPEND, ["nonce", 1, [["STEP_OUTPUT", "a_step", 2, {}, 1.0, "x"]]]),
    ],
)
def test_nonsense_of_user_code_is_answered_with_nothing(kind: str, details: object) -> None:
    talk = Talk(Kept())

    assert talk.ask(kind, details) is None
    assert (talk.worker.claims, talk.worker.batches) == ([], [])


def test_user_code_that_closed_the_connection_costs_no_outcome() -> None:
    own = Kept()

    def is_closed(_kind: str, _details: object) -> bytes | None:
        raise ConnectionError("user code closed it")

    step = ByWorker(is_closed, ref_of_order(RUN_ID, REF), own)

    assert step.append_as_attempt(RUN_ID, REF, "nonce", 1, [OUTPUT]) is True
    assert [batch.events for batch in own.batches] == [(OUTPUT,)]
