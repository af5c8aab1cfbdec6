"""Documents of ours in containers of the image: multiprocess runs, killed ones, duplicates, and what a step asks of the database."""

from __future__ import annotations

import time
from typing import Any

import psycopg
import pytest

from runplane.errors.exit_codes import ExitCode
from runplane.events.status import RunStatus
from runplane.storage.contract import RunClaim
from runplane.storage.liveness import this_process
from runplane.workers.authority import acquire
from services.container_documents import Submitted, submit


@pytest.fixture
def apart(cluster: Any) -> Submitted:
    """A run whose steps run in processes of their own."""
    return submit(cluster, "apart")


def test_a_run_whose_steps_are_forked_under_a_read_only_root(cluster: Any, apart: Submitted) -> None:
    cluster.go()

    container = cluster.start(apart.run_argv)

    assert cluster.wait(container) == 0, cluster.story(apart.run_id)
    assert cluster.instance.journal.head(apart.run_id).status is RunStatus.SUCCESS, cluster.story(apart.run_id)
    kept = [p.read_text() for p in (cluster.home / "storage").rglob("*.out")]
    assert "the sum is 55\n" in kept


def test_a_run_worker_is_killed_and_another_container_resumes_its_run(cluster: Any, apart: Submitted) -> None:
    killed = cluster.start(apart.run_argv)
    cluster.wait_for("the second step", lambda: cluster.started("sum_numbers"))
    killed.kill("SIGKILL")
    cluster.go()

    second = cluster.start(apart.resume_argv)

    assert cluster.wait(second) == 0, cluster.story(apart.run_id)
    assert cluster.instance.journal.head(apart.run_id).status is RunStatus.SUCCESS, cluster.story(apart.run_id)
    started = [(b["step"], b["n"]) for b in cluster.bodies("start")]
    assert started == [("generate_numbers", 1), ("sum_numbers", 1), ("sum_numbers", 2), ("check", 1)]


@pytest.mark.parametrize("hostname", [None, "node-1"], ids=["own names", "one name, as with hostNetwork"])
def test_a_second_worker_of_a_live_run_leaves_it_alone(cluster: Any, apart: Submitted, hostname: str | None) -> None:
    """Both are pid 1 of their containers. A process id means something in its own namespace only, whatever the host is called."""
    first = cluster.start(apart.run_argv, hostname=hostname)
    cluster.wait_for("the second step", lambda: cluster.started("sum_numbers"))

    second = cluster.start(apart.run_argv, hostname=hostname)

    assert cluster.wait(second) == 0
    assert b"alive" in second.logs()
    cluster.go()
    assert cluster.wait(first) == 0, cluster.story(apart.run_id)
    assert cluster.instance.journal.head(apart.run_id).epoch == 1, "nobody took a live run over"
    assert len(cluster.bodies("start")) == 3


def test_a_step_opens_two_connections_and_holds_none_while_user_code_runs(cluster: Any) -> None:
    submitted = submit(cluster, "process_numbers_k8s")
    claim = acquire(cluster.instance.journal, submitted.run, this_process(), resumes_allowed=0)
    assert isinstance(claim, RunClaim)
    finish(cluster, submitted, claim, "generate_numbers", 1)
    with watching_connections(cluster) as connections:
        step = cluster.start(submitted.step_argv(claim, cluster.instance, "sum_numbers", 2))
        address = cluster.address(step)
        cluster.wait_for("user code", lambda: cluster.started("sum_numbers"))
        held = connections.held_by(address)
        opened_before = connections.opened_by(address)
        cluster.go()

        assert cluster.wait(step) == 0, cluster.story(submitted.run_id)
        opened = connections.opened_by(address)

    assert ("STEP_SUCCESS", "sum_numbers", 1) in cluster.kinds(submitted.run_id), cluster.story(submitted.run_id)
    assert held == 0
    assert (opened_before, opened) == (1, 2)


def finish(cluster: Any, submitted: Submitted, claim: RunClaim, step: str, batch: int) -> None:
    """Have a step done by a container."""
    container = cluster.start(submitted.step_argv(claim, cluster.instance, step, batch))
    assert cluster.wait(container) == 0, cluster.story(submitted.run_id)
    assert ("STEP_SUCCESS", step, 1) in cluster.kinds(submitted.run_id), cluster.story(submitted.run_id)


class watching_connections:  # noqa: N801 - reads as a statement
    """Counts the connections to Postgres by the address they come from: what the server itself logs and shows."""

    def __init__(self, cluster: Any) -> None:
        self._server = cluster.postgres
        self._before = len(self._server.log())

    def __enter__(self) -> watching_connections:
        self._set("on")
        return self

    def __exit__(self, *error: object) -> None:
        self._set("off")

    def opened_by(self, address: str) -> int:
        """How many connections were opened from there since this began."""
        return sum(
            f"host={address} " in line for line in self._server.log()[self._before :].splitlines() if "received" in line
        )

    def held_by(self, address: str) -> int:
        """How many are open now."""
        sql = "SELECT count(*) FROM pg_stat_activity WHERE client_addr = %s::inet"
        with psycopg.connect(self._server.url(), autocommit=True) as connection:
            row = connection.execute(sql, [address]).fetchone()
        assert row is not None
        return int(row[0])

    def _set(self, value: str) -> None:
        with psycopg.connect(self._server.url(), autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET log_connections = {value}")
            connection.execute("SELECT pg_reload_conf()")


def test_sigterm_ends_a_worker_that_waits_for_its_database(cluster: Any, apart: Submitted) -> None:
    """pid 1 of a container does not die of a signal that it has no handler for."""
    container = cluster.start(apart.run_argv, network="none")
    cluster.wait_for("the wait", lambda: b"Waiting" in container.logs())

    took = stopped_after(cluster, container)

    assert took < 3


def test_sigterm_ends_a_worker_that_imports_user_code(cluster: Any) -> None:
    submitted = submit(cluster, "process_numbers_k8s")
    container = cluster.start(submitted.run_argv, {"SLOW_IMPORT": "1"})
    cluster.wait_for("the import", lambda: (cluster.home / "importing").exists())

    took = stopped_after(cluster, container)

    assert took < 3
    assert cluster.instance.journal.head(submitted.run_id).status is RunStatus.STARTED, "the next one may have it"


@pytest.mark.parametrize(
    ("job", "most_s"), [("process_numbers_k8s", 3), ("apart", 8)]
)  # steps of others get 5 s to end
def test_sigterm_ends_a_run_worker_in_mid_run_and_the_run_goes_on_elsewhere(
    cluster: Any, job: str, most_s: float
) -> None:
    submitted = submit(cluster, job)
    container = cluster.start(submitted.run_argv)
    cluster.wait_for("the second step", lambda: cluster.started("sum_numbers"))

    took = stopped_after(cluster, container)

    assert took < most_s
    assert cluster.instance.journal.head(submitted.run_id).status is RunStatus.STARTED
    cluster.go()
    second = cluster.start(submitted.resume_argv)
    assert cluster.wait(second) == 0
    assert cluster.instance.journal.head(submitted.run_id).status is RunStatus.SUCCESS, cluster.story(submitted.run_id)


def test_sigterm_ends_a_step_worker_and_costs_the_user_no_retry(cluster: Any) -> None:
    submitted = submit(cluster, "process_numbers_k8s")
    claim = acquire(cluster.instance.journal, submitted.run, this_process(), resumes_allowed=0)
    assert isinstance(claim, RunClaim)
    finish(cluster, submitted, claim, "generate_numbers", 1)
    container = cluster.start(submitted.step_argv(claim, cluster.instance, "sum_numbers", 2))
    cluster.wait_for("user code", lambda: cluster.started("sum_numbers"))

    took = stopped_after(cluster, container)

    assert took < 3
    assert cluster.wait(container) == ExitCode.TERMINATED
    outcomes = {"STEP_SUCCESS", "STEP_FAILURE", "STEP_UP_FOR_RETRY"}
    kinds = cluster.kinds(submitted.run_id)
    assert [k for k in kinds if k[0] in outcomes and k[1] == "sum_numbers"] == [], cluster.story(submitted.run_id)


def stopped_after(cluster: Any, container: Any) -> float:
    """Send SIGTERM to pid 1 and wait; seconds that it took."""
    began = time.monotonic()
    container.kill("SIGTERM")
    cluster.wait(container, 40)
    return time.monotonic() - began
