"""``python runplane_outcomes.py URL CLIENTS news|silence``: how many outcomes a second so many coordinators store side by side.

With ``news`` the transaction of an outcome wakes readers (NOTIFY), as it does in the product.
"""

import json
import multiprocessing
import secrets
import sys
import time
from dataclasses import replace
from typing import Any

from runplane.events.event import NewEvent
from runplane.events.kinds import EventKind
from runplane.events.run import Run
from runplane.instance.instance import Instance
from runplane.storage.contract import Accepted, Append, AttemptRef, Issue, Owner
from runplane.storage.journal import Journal
from runplane.storage.postgres import PostgresDatabase

OUTCOMES = 400
AT_ONCE = 50


def event(kind: EventKind, ref: AttemptRef | None = None) -> NewEvent:
    return NewEvent(kind, ref and ref.step, ref and ref.n, {}, time.time())


def coordinator(url: str, told: bool, gate: Any, took: Any) -> None:
    """Have the attempts of a run of its own at work; when all coordinators are ready, store one outcome after the other."""
    database = PostgresDatabase(url)
    if not told:
        database.dialect = replace(database.dialect, notify="CAST(:run AS text)")
    journal = Journal(database)
    run = secrets.token_hex(16)
    journal.create(Run(run_id=run, job_name="job"))
    claim = journal.claim_run(run, Owner("bench", "here", "b", 1, 1), [], event(EventKind.RUN_START))
    assert claim is not None
    refs = [AttemptRef(f"s{i}", 1) for i in range(OUTCOMES)]
    batch, nonces = 0, []
    for at in range(0, OUTCOMES, AT_ONCE):
        batch += 1
        done = journal.commit(run, claim.epoch, batch, [Issue(ref, worker="w") for ref in refs[at : at + AT_ONCE]])
        nonces += [result.nonce for result in done.results if isinstance(result, Accepted)]
    gate.wait()
    began = time.perf_counter()
    for ref, nonce in zip(refs, nonces, strict=True):
        batch += 1
        journal.commit(run, claim.epoch, batch, [Append([event(EventKind.STEP_SUCCESS, ref)], ref, nonce)])
    took.put(time.perf_counter() - began)
    database.close()


if __name__ == "__main__":
    url, clients, told = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "news"
    with Instance.from_yaml(json.dumps({"storage": {"postgres": {"postgres_url": url}}})) as instance:
        instance.journal  # noqa: B018 - the tables are there
    context = multiprocessing.get_context("spawn")
    gate, took = context.Barrier(clients), context.Queue()
    processes = [context.Process(target=coordinator, args=(url, told, gate, took)) for _ in range(clients)]
    for process in processes:
        process.start()
    slowest = max(took.get(timeout=300) for _ in processes)
    for process in processes:
        process.join()
    print(json.dumps({sys.argv[3]: clients * OUTCOMES / slowest}))
