"""What a worker says of itself goes on whatever user code, the database and its own main thread do; and a probe believes nothing else."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest

from runplane.daemon import local_file
from runplane.events.kinds import EventKind as K
from runplane.events.status import RunStatus
from scale import scaled
from services.postgres import GivenPostgres
from services.queue_workers import QueueSystem
from services.system import postgres_yaml

END_S = 120.0
TTL_S = 2.0
"""Of the tests' systems."""
LIMIT_S = scaled(8, long=30)
"""After which a probe and the worker itself say that it hangs; 30 s in earnest."""
LEAVES_S = 10.0
"""Within which a worker without steps of its own leaves; a call of a frozen database is given up after a minute."""
MakeQueues = Callable[..., QueueSystem]


def test_user_code_that_holds_pythons_lock_for_three_ttls_keeps_its_slot_and_its_attempt(
    make_queues: MakeQueues,
) -> None:
    queues = make_queues("database", nap_s=3 * TTL_S)
    queues.queue_worker("-q", "work", "-c", "1")
    run_id = queues.create("lock_held")
    coordinator = queues.worker(run_id)

    def is_given_up() -> bool:
        return queues.kinds(run_id)[K.STEP_SEALED] > 0

    queues.wait_for("the end of the body", lambda: queues.bodies(run_id, "end") or is_given_up(), END_S)

    assert not is_given_up(), "its worker was taken for dead"
    assert coordinator.wait(END_S) == 0
    assert queues.status(run_id) is RunStatus.SUCCESS, queues.story(run_id)
    queues.check(run_id)
    assert queues.completed(run_id) == {"holds_the_lock": 1, "takes_no_time": 1}
    assert queues.most_at_once(run_id, "") == 1
    [holder] = [b for b in queues.bodies(run_id, "end") if b["step"] == "holds_the_lock"]
    assert holder["silent_s"] >= 3 * TTL_S, "a thread beside it went on: the lock was not held"


def test_a_database_that_is_away_is_no_failure_of_a_workers_probe(
    make_queues: MakeQueues, postgres_server: Any, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(postgres_server, GivenPostgres):
        pytest.skip("the server that was given is not ours to stop")
    queues = make_queues("database", yaml=postgres_yaml(postgres_url))
    worker = queues.queue_worker("-q", "work", "-c", "1", hangs_after_s=LIMIT_S)
    monkeypatch.setenv(local_file.WORKER.variable, str(queues.file_of(worker)))

    for takes_it_away in (postgres_server.stop, postgres_server.pause):
        takes_it_away()
        since = queues.state(worker)["at"]

        def is_away_for_longer_than_the_limit(since: float = since) -> bool:
            found = local_file.check(LIMIT_S, local_file.WORKER)
            assert found.is_live, found.text
            return bool(queues.state(worker)["at"] - since > 1.5 * LIMIT_S)

        queues.wait_for("the end of the outage", is_away_for_longer_than_the_limit, 20 * LIMIT_S)
        asked = queues.probe(worker)
        postgres_server.start()
        assert asked.returncode == 0, asked

    run_id = queues.create("one")
    assert queues.run_to_end(run_id, END_S) == 0
    assert queues.completed(run_id) == {"takes_no_time": 1}


def test_a_worker_that_is_told_to_leave_does_not_wait_for_a_frozen_database(
    make_queues: MakeQueues, postgres_server: Any, postgres_url: str
) -> None:
    if isinstance(postgres_server, GivenPostgres):
        pytest.skip("the server that was given is not ours to stop")
    queues = make_queues("database", yaml=postgres_yaml(postgres_url))
    worker = queues.queue_worker("-q", "work", "-c", "1")

    postgres_server.pause()
    worker.send_signal(signal.SIGTERM)
    try:
        code = worker.wait(2 * LEAVES_S)
    finally:
        postgres_server.start()

    assert code == 0
    heir = queues.queue_worker("-q", "work", "-c", "1")
    run_id = queues.create("one")
    assert queues.run_to_end(run_id, END_S) == 0
    assert queues.completed(run_id) == {"takes_no_time": 1}
    assert heir.poll() is None


def test_the_probe_of_a_worker_that_is_stopped_fails_until_it_goes_on(
    make_queues: MakeQueues, monkeypatch: pytest.MonkeyPatch
) -> None:
    queues = make_queues("database")
    worker = queues.queue_worker("-q", "work", "-c", "1")
    monkeypatch.setenv(local_file.WORKER.variable, str(queues.file_of(worker)))

    worker.send_signal(signal.SIGSTOP)
    queues.wait_for("a probe that fails", lambda: not local_file.check(LIMIT_S, local_file.WORKER).is_live, END_S)
    said = local_file.check(LIMIT_S, local_file.WORKER).text
    worker.send_signal(signal.SIGCONT)

    assert f"process {worker.pid} has not been heard of" in said
    queues.wait_for("a probe that succeeds", lambda: queues.probe(worker).returncode == 0)
