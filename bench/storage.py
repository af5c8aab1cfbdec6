"""What the storage costs: events a second, the driver's usual batch, reading. SQLite always, Postgres where a URL is given.

    python bench/storage.py [--postgres URL] [--json]

Each figure is the best of several rounds: the others measure what else the machine had to do. `cpu` is the time of this process
alone, which a busy machine changes less.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from runplane.events.event import NewEvent
from runplane.events.kinds import EventKind as K
from runplane.events.run import Run
from runplane.storage.contract import Accepted, Append, AttemptRef, Issue
from runplane.storage.database import Database
from runplane.storage.journal import Journal
from runplane.storage.liveness import this_process
from runplane.storage.postgres import PostgresDatabase
from runplane.storage.sqlite import SqliteDatabase

ROUNDS = 5
OPS = 200
BATCHES, BATCH = 60, 128
TABLE = "{:<34} {:>14} {:>14}"


def event(kind: str, step: str | None = None, **body: Any) -> NewEvent:
    return NewEvent(kind, step, 1 if step else None, body, time.time())


class Coordinator:
    """One run that is driven as the driver does it."""

    def __init__(self, database: Database) -> None:
        self.journal = Journal(database)
        self.run_id = secrets.token_hex(16)
        self.journal.create(Run(run_id=self.run_id, job_name="bench"))
        claim = self.journal.claim_run(self.run_id, this_process(), [], event(K.RUN_START))
        assert claim is not None
        self.epoch, self.batch, self.steps = claim.epoch, 0, 0
        self.nonce = self._commit(Issue(AttemptRef("s0", 1), worker="w"))

    def step(self) -> None:
        """The end of one step (four events and its outcome), the issue and the claim of the next: one commit."""
        done = f"s{self.steps}"
        self.steps += 1
        events = [
            event(K.STEP_START, done, message=f'Started execution of step "{done}".'),
            event(
                K.STEP_OUTPUT,
                done,
                output="result",
                type_check={"success": True},
                location={"path": f"{self.run_id}/{done}/result"},
            ),
            event(K.HANDLED_OUTPUT, done, output="result", manager="io_manager"),
            event(K.LOGS_CAPTURED, done, log_key=["compute_logs", done]),
            event(K.STEP_SUCCESS, done, duration_ms=1.25),
        ]
        self.nonce = self._commit(
            Append(events, AttemptRef(done, 1), self.nonce), Issue(AttemptRef(f"s{self.steps}", 1), worker="w")
        )

    def logs(self, count: int) -> None:
        """A batch of log lines."""
        self._commit(
            Append([event(K.LOG, "s0", message="a line of what user code has to say", level=20) for _ in range(count)])
        )

    def _commit(self, *ops: Append | Issue) -> str | None:
        self.batch += 1
        result = self.journal.commit(self.run_id, self.epoch, self.batch, ops).results[-1]
        assert isinstance(result, Accepted)
        return result.nonce


def best(call: Callable[[], None], rounds: int = ROUNDS) -> tuple[float, float]:
    """Seconds of wall and of this process's CPU, of the best round."""
    found = []
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        call()
        found.append((time.perf_counter() - wall, time.process_time() - cpu))
    return min(w for w, _ in found), min(c for _, c in found)


def measure(database: Database) -> dict[str, float]:
    run = Coordinator(database)
    for _ in range(20):
        run.step()
    wall, cpu = best(lambda: [run.step() for _ in range(OPS)] and None)
    figures = {"op_ms": wall / OPS * 1000, "op_cpu_ms": cpu / OPS * 1000}
    run.logs(BATCH)
    wall, cpu = best(lambda: [run.logs(BATCH) for _ in range(BATCHES)] and None)
    figures.update(events_per_s=BATCHES * BATCH / wall, events_per_cpu_s=BATCHES * BATCH / cpu)
    head = run.journal.head(run.run_id).head

    def read_all() -> None:
        seen = 0
        while page := run.journal.tail(run.run_id, seen, 5000):
            seen = page[-1].seq
        assert seen == head

    wall, cpu = best(read_all)
    figures.update(reads_per_s=head / wall, reads_per_cpu_s=head / cpu)
    return figures


def without_news(database: PostgresDatabase) -> float:
    """Milliseconds of the usual batch when nobody is told of outcomes."""
    database.dialect = replace(database.dialect, notify="NULL")
    return measure(database)["op_ms"]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument(
        "--postgres", metavar="URL", help="a Postgres database; a schema is made in it and dropped again"
    )
    arguments.add_argument("--json", action="store_true", help="print one JSON document")
    given = arguments.parse_args()
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        sqlite = SqliteDatabase(Path(folder) / "runplane.db")
        figures["sqlite"] = measure(sqlite)
        sqlite.close()
    if given.postgres:
        schema = f"bench_{secrets.token_hex(4)}"
        postgres = PostgresDatabase(given.postgres, schema=schema)
        figures["postgres"] = measure(postgres)
        figures["postgres"]["op_ms_without_notify"] = without_news(postgres)
        postgres.read(f'DROP SCHEMA "{schema}" CASCADE', {})
        postgres.close()
    if given.json:
        json.dump(figures, sys.stdout, indent=2)
        return
    print(TABLE.format("", *figures, *[""] * (2 - len(figures))))
    for name in figures["sqlite"] | figures.get("postgres", {}):
        cells = [
            f"{f[name]:,.3f}" if name in f and f[name] < 100 else f"{f[name]:,.0f}" if name in f else ""
            for f in figures.values()
        ]
        print(TABLE.format(name, *cells, *[""] * (2 - len(cells))))


if __name__ == "__main__":
    main()
