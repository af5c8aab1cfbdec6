"""A role of the database that may do what a step's process does, and nothing else (``runplane doctor --sql``)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from runplane.engine.snapshot import (
    IN_DATABASE,
    InputPlan,
    OutputPlan,
    OutputRef,
    PlanSnapshot,
    StepPlan,
    StoredOutput,
)
from runplane.errors import RunplaneError
from runplane.events.event import NewEvent
from runplane.events.kinds import EventKind as K
from runplane.events.run import Run
from runplane.storage.contract import Accepted, AttemptRef, Claimed, Issue, NotClaimed, Owner
from runplane.storage.journal import Journal
from runplane.storage.libpq.failures import PostgresError
from runplane.storage.pools import Pools
from runplane.storage.postgres import PostgresDatabase
from runplane.storage.runs import Runs
from runplane.storage.step_role import GRANTS, grants_sql

ROLE = "step_of_runplane"
PASSWORD = "step's own"  # noqa: S105 - of a server that lives as long as the tests
SOURCE = StepPlan("a", "a", "a", outputs=(OutputPlan("result"),))
STEP = StepPlan("b", "b", "b", inputs=(InputPlan("x", (OutputRef("a", "result"),)),), pools=("scarce",))
PLAN = PlanSnapshot("j", (SOURCE, STEP))


class Coordinator:
    """Runs of the instance, prepared as their coordinator does it."""

    def __init__(self, url: str) -> None:
        self.journal = Journal(PostgresDatabase(url))
        self.count = 0

    def issued(self) -> tuple[str, int]:
        """A run whose step b is issued and waits for its process, with a slot of a pool: its id and epoch."""
        self.count += 1
        run_id = f"{self.count:08d}-8a58-44ef-bca2-0e4ca8100b7a"
        self.journal.put_steps(PLAN)  # as the run's worker does
        self.journal.create(Run(run_id, "j", plan_id=self.journal.put_plan(PLAN)))
        claim = self.journal.claim_run(run_id, Owner("w", "elsewhere", "b", 1, 1), [], event(K.RUN_START))
        assert claim is not None
        done = self.journal.commit(run_id, claim.epoch, 1, [Issue(AttemptRef("a", 1), worker="w")])
        first = done.results[0]
        assert isinstance(first, Accepted)
        out = event(K.STEP_OUTPUT, "a", output="result", location={"path": "x"})
        self.journal.append_as_attempt(
            run_id, AttemptRef("a", 1), first.nonce or "", 1, [out, event(K.STEP_SUCCESS, "a")]
        )
        self.journal.commit(run_id, claim.epoch, 2, [Issue(AttemptRef("b", 1), pools=("scarce",))])
        return run_id, claim.epoch


def event(kind: str, step: str | None = None, **body: Any) -> NewEvent:
    return NewEvent(kind, step, 1 if step else None, body, time.time())


def does_what_a_step_does(database: PostgresDatabase, run_id: str) -> None:
    """Claim it, read what it takes from, write all that a step may write, and leave; a second process is told that it is one."""
    journal, ref = Journal(database), AttemptRef("b", 1)
    claimed = journal.claim(run_id, ref, "pod-1", event(K.STEP_WORKER_STARTED, "b"))
    assert isinstance(claimed, Claimed)
    assert [one.location for one in claimed.brief.outputs] == [{"path": "x"}]
    assert [one.step for one in journal.outputs(run_id, ["a"])] == ["a"]
    assert isinstance(journal.claim(run_id, ref, "pod-2", event(K.STEP_WORKER_STARTED, "b")), NotClaimed)
    assert journal.head(run_id).intent == "none"
    assert Runs(database).get(run_id).job_name == "j"
    made = {"asset_key": "shop/orders", "metadata": {}}
    checked = {"asset_key": "shop/orders", "check_name": "c", "passed": True, "severity": "WARN", "metadata": {}}
    written = [
        event(K.LOG, "b", message="hello", level=20),
        event(K.LOGS_CAPTURED, "b", log_key=[run_id, "b"], step_keys=["b"]),
        event(K.ASSET_MATERIALIZATION, "b", **made),
        event(K.ASSET_OBSERVATION, "b", **made),
        event(K.ASSET_CHECK_EVALUATION, "b", **checked),
        event(K.STEP_OUTPUT, "b", output="result", location={IN_DATABASE: 1})._replace(value=b"pickled"),
    ]
    assert journal.append_as_attempt(run_id, ref, claimed.nonce, 1, written)
    stored = StoredOutput(run_id, "b", "result", None, {IN_DATABASE: 1})
    assert journal.values.get([stored], early=True) == [b"pickled"]
    assert journal.append_as_attempt(run_id, ref, claimed.nonce, 2, [event(K.STEP_SUCCESS, "b", duration_ms=1.0)])
    assert not journal.append_as_attempt(run_id, ref, "another", 3, [event(K.STEP_OUTPUT, "b", output="late")])
    assert isinstance(journal.claim(run_id, ref, "pod-3", event(K.STEP_WORKER_STARTED, "b")), NotClaimed)


class Server:
    """The database, as its owner; the role, and what it may do."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.coordinator = Coordinator(url)
        self.coordinator.issued()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"DROP OWNED BY {ROLE}" if self._exists(connection) else "SELECT 1")
            connection.execute(f"DROP ROLE IF EXISTS {ROLE}")
        self.run(grants_sql(ROLE, database=urlsplit(url).path.strip("/")))
        self.run(f"ALTER ROLE {ROLE} PASSWORD '{PASSWORD.replace(chr(39), chr(39) * 2)}'")

    @staticmethod
    def _exists(connection: psycopg.Connection[Any]) -> bool:
        return connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (ROLE,)).fetchone() is not None

    def run(self, sql: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql)  # type: ignore[call-overload]

    def url_of_step(self) -> str:
        parts = psycopg.conninfo.conninfo_to_dict(self.url)
        return psycopg.conninfo.make_conninfo(**{**parts, "user": ROLE, "password": PASSWORD})

    def as_step(self) -> PostgresDatabase:
        return PostgresDatabase(self.url_of_step())

    def close(self) -> None:
        self.coordinator.journal.database.close()
        self.run(f"DROP OWNED BY {ROLE}")
        self.run(f"DROP ROLE {ROLE}")


@pytest.fixture
def server(postgres_url: str) -> Iterator[Server]:
    made = Server(postgres_url)
    yield made
    made.close()


def test_the_grants_are_enough(server: Server) -> None:
    database = server.as_step()
    run_id, _ = server.coordinator.issued()

    does_what_a_step_does(database, run_id)

    database.close()
    assert Pools(server.coordinator.journal.database).get("scarce").used == 1, (
        "its slot is free: one is the first run's"
    )


def test_no_grant_can_be_left_out(server: Server) -> None:
    spare = []
    for table, verbs in GRANTS.items():
        for verb in verbs:
            run_id, _ = server.coordinator.issued()
            database = server.as_step()
            server.run(f"REVOKE {verb} ON runplane.{table} FROM {ROLE}")
            try:
                does_what_a_step_does(database, run_id)
                spare.append(f"{verb} on {table}")
            except (PostgresError, RunplaneError) as error:
                if "permission denied" not in str(error):
                    raise
            server.run(f"GRANT {verb} ON runplane.{table} TO {ROLE}")
            database.close()

    assert spare == []


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM runplane.lease",
        "DELETE FROM runplane.event",
        "UPDATE runplane.run SET handle = NULL",
        "INSERT INTO runplane.request (request_id, run_id, kind, at, body) VALUES ('i', 'r', 'cancel', 0, '{}')",
        "DELETE FROM runplane.attempt",
        "CREATE TABLE runplane.mine (x int)",
    ],
)
def test_what_only_coordinators_and_people_do_is_refused(server: Server, statement: str) -> None:
    with psycopg.connect(server.url_of_step()) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)  # type: ignore[call-overload]
