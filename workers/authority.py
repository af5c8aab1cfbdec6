"""How a run worker becomes the coordinator of its run, or learns why it may not."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ..events.event import NewEvent
from ..events.kinds import EventKind
from ..events.run import Run
from ..events.status import RunStatus
from ..serdes.record import record
from ..storage.contract import Head, Owner, RunClaim
from ..storage.journal import Journal
from ..storage.liveness import proven_gone, stood_still

LEASE_TTL_S = 30.0
_WAITING = (RunStatus.NOT_STARTED, RunStatus.STARTING)


@record
class Denied:
    """This worker is not to run anything; `message` says why, for a person."""

    message: str


@record
class BudgetSpent:
    """The run was taken over, but it was resumed as often as it may be: it is to be failed."""

    claim: RunClaim
    message: str


def acquire(
    journal: Journal, run: Run, owner: Owner, *, resumes_allowed: int, ttl_s: float = LEASE_TTL_S
) -> RunClaim | Denied | BudgetSpent:
    """Claim the run, or take it over from a coordinator that is gone.

    A coordinator is gone on positive evidence (its process is gone, it gave the run up), or when its beat stood still through one
    whole `ttl_s` of uninterrupted contact with the database.

    Args:
        resumes_allowed: how often the run may be taken over.
    """
    first = journal.claim_run(run.run_id, owner, _opening(owner), _start(run))
    if first is not None:
        return first
    head = journal.head(run.run_id)
    if head.status.is_final:
        return Denied("Ignoring a run worker that started after the run had already finished.")
    if head.status in (RunStatus.QUEUED, *_WAITING):
        return Denied(f"Ignoring a run worker: the run is {head.status}, and another process is about to start it.")
    evidence = _evidence(journal, head, ttl_s)
    if evidence is None:
        return Denied("Ignoring a duplicate run worker: the run's coordinator is alive.")
    spent = head.owner is not None and head.resumes >= resumes_allowed and head.intent == "none"
    claim = journal.take_over(head, owner, _resumed(owner, evidence))
    if claim is None:
        return Denied("Ignoring a duplicate run worker: another one took the run over first.")
    if spent:
        return BudgetSpent(
            claim,
            f"{evidence[0].upper()}{evidence[1:]}, and the run was resumed {head.resumes} times, as often as it may be.",
        )
    return claim


def _evidence(journal: Journal, head: Head, ttl_s: float) -> str | None:
    """Why the coordinator is known to be gone, or None."""
    if head.owner is None:
        return "its coordinator gave the run up" if head.epoch else "no worker ever claimed the run"
    proof = proven_gone(head.owner)
    if proof is not None:
        return proof
    if not stood_still(lambda: journal.head(head.run_id), head, ttl_s):
        return None
    return f"its coordinator has not been heard of for {ttl_s:.0f} s"


def _opening(owner: Owner) -> Sequence[NewEvent]:
    message = f"Started process for run (pid: {owner.pid})."
    return [
        NewEvent(
            EventKind.ENGINE_EVENT, None, None, {"message": message, "metadata": {"pid": str(owner.pid)}}, time.time()
        )
    ]


def _start(run: Run) -> NewEvent:
    return NewEvent(
        EventKind.RUN_START, None, None, {"message": f'Started execution of run for "{run.job_name}".'}, time.time()
    )


def _resumed(owner: Owner, evidence: str) -> NewEvent:
    body = {"message": f"Process {owner.pid} took the run over: {evidence}.", "evidence": evidence, "pid": owner.pid}
    return NewEvent(EventKind.RUN_RESUMED, None, None, body, time.time())
