"""A network that loses the reply to a commit: what was stored is stored once, and the writer gets the answer it would have got."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest
from storage_runs import StartedRun, event, log

from runplane.events.kinds import EventKind as K
from runplane.storage import patience
from runplane.storage.contract import Accepted, Append, AttemptRef, Issue
from runplane.storage.database import Database
from runplane.storage.journal import Journal
from runplane.storage.patience import PatientDatabase
from runplane.storage.postgres import PostgresDatabase
from scale import scaled
from services.postgres_proxy import PostgresProxy

READY = b"Z\x00\x00\x00\x05I"
"""ReadyForQuery, outside of a transaction: the server has committed."""


class LossyProxy(PostgresProxy):
    """Drops some of the replies that say "committed", and the connection with them."""

    def __init__(self, url: str, rate: float, seed: int) -> None:
        self._random = random.Random(seed)
        self._rate = rate
        self.dropped = 0
        self.dropping = False
        super().__init__(url)

    def from_server(self, data: bytes) -> Iterator[bytes]:
        if self.dropping and data.endswith(READY) and self._random.random() < self._rate:
            self.dropped += 1
            raise ConnectionAbortedError
        yield data


@pytest.fixture
def proxy(postgres_url: str) -> Iterator[LossyProxy]:
    proxy = LossyProxy(postgres_url, rate=0.05, seed=7)
    yield proxy
    proxy.close()


def test_batches_whose_reply_was_lost_are_stored_once(
    proxy: LossyProxy, monkeypatch: pytest.MonkeyPatch, opened: Callable[[Database], Database]
) -> None:
    monkeypatch.setattr(patience, "FIRST_PAUSE_S", 0.001)
    database = opened(PatientDatabase(opened(PostgresDatabase(proxy.url)), patience_s=60, say=lambda line: None))
    journal = Journal(database)
    run = StartedRun(journal)
    (nonce,) = run.issue("own")
    own = AttemptRef("own", 1)
    before = journal.head(run.run_id).head
    batches = scaled(10_000, long=100_000)

    proxy.dropping = True
    issued = 0
    for i in range(batches):
        if i % 5 == 0:
            assert journal.append_as_attempt(run.run_id, own, nonce, i + 1, [log(f"own {i}", "own")])
            continue
        run.batch += 1
        done = journal.commit(
            run.run_id, run.epoch, run.batch, [Append([log(f"run {i}")]), Issue(AttemptRef(f"s{i}", 1), worker="w")]
        )
        first, second = done.results
        assert isinstance(first, Accepted)
        assert isinstance(second, Accepted)
        assert second.nonce
        issued += 1
        if i % 50 == 1:
            assert journal.append_as_attempt(
                run.run_id, AttemptRef(f"s{i}", 1), second.nonce, 1, [event(K.STEP_SUCCESS, f"s{i}", 1)]
            )
    proxy.dropping = False

    assert proxy.dropped > batches * 0.03
    stored = []
    while page := journal.tail(run.run_id, before + len(stored), 5000):
        stored += page
    assert [e.seq for e in stored] == list(range(before + 1, before + len(stored) + 1))
    assert journal.head(run.run_id).head == before + len(stored)
    texts = [e.body["message"] for e in stored if e.kind == "LOG"]
    assert texts == [f"{'own' if i % 5 == 0 else 'run'} {i}" for i in range(batches)]
    assert sum(e.kind == "STEP_ISSUED" for e in stored) == issued
