"""Runs and databases for tests of the storage as it is used."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Any

from runplane.events.event import NewEvent
from runplane.events.kinds import EventKind as K
from runplane.events.run import Run
from runplane.storage.contract import Accepted, AttemptRef, Committed, Issue, Op, Owner
from runplane.storage.database import Database
from runplane.storage.dialect import Outcome, Statement
from runplane.storage.journal import Journal


class Passing:
    """A database that hands everything on; tests change one of its methods."""

    def __init__(self, inner: Database) -> None:
        self.inner = inner
        self.dialect = inner.dialect
        self.where = inner.where

    def transact(self, statements: Sequence[Statement]) -> list[Outcome]:
        return self.inner.transact(statements)

    def read(self, sql: str, params: Any) -> list[tuple[Any, ...]]:
        return self.inner.read(sql, params)

    def wait_for_news(self, timeout_s: float) -> bool:
        return self.inner.wait_for_news(timeout_s)

    def release(self) -> None:
        self.inner.release()

    def close(self) -> None:
        self.inner.close()


def event(kind: str, step: str | None = None, n: int | None = None, **body: Any) -> NewEvent:
    return NewEvent(kind, step, n, body, time.time())


def log(text: str, step: str | None = None) -> NewEvent:
    return event(K.LOG, step, 1 if step else None, message=text)


class StartedRun:
    """A run with a coordinator and attempts that write for themselves."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.run_id = secrets.token_hex(16)
        journal.create(Run(run_id=self.run_id, job_name="job"))
        claim = journal.claim_run(self.run_id, Owner("w", "elsewhere", "b", 1, 1), [], event(K.RUN_START))
        assert claim is not None
        self.epoch = claim.epoch
        self.batch = 0

    def commit(self, *ops: Op) -> Committed:
        """The coordinator's next batch."""
        self.batch += 1
        return self.journal.commit(self.run_id, self.epoch, self.batch, ops)

    def issue(self, *steps: str) -> list[str]:
        """The nonces of attempts that run."""
        done = self.commit(*[Issue(AttemptRef(s, 1), worker="w") for s in steps])
        return [r.nonce for r in done.results if isinstance(r, Accepted) and r.nonce]
