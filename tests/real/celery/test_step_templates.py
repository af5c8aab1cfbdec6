"""Where the processes of steps of queues come from: forked from a template that imported the code, or started anew where that can not be."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import psycopg

from runplane.events.kinds import EventKind as K
from runplane.events.status import RunStatus
from services.queue_workers import QueueSystem
from services.system import postgres_yaml

END_S = 120.0
MakeQueues = Callable[..., QueueSystem]


def test_code_is_imported_once_for_the_steps_of_all_runs(queues: QueueSystem) -> None:
    queues.queue_worker("-q", "work", "-c", "2")
    runs = [queues.create("four"), queues.create("four")]

    codes = [worker.wait(END_S) for worker in [queues.worker(run_id) for run_id in runs]]

    assert codes == [0, 0]
    assert [queues.status(run_id) for run_id in runs] == [RunStatus.SUCCESS] * 2
    bodies = [body for run_id in runs for body in queues.bodies(run_id, "start")]
    [template] = queues.templates()
    assert {body["imported_in"] for body in bodies} == {template.pid}
    assert {body["had_driver"] for body in bodies} == {True}, "no step imports the database's driver"
    assert len({body["pid"] for body in bodies}) == 8


def test_steps_that_write_little_log_in_to_no_database(make_queues: MakeQueues, postgres_url: str) -> None:
    queues = make_queues("database", yaml=postgres_yaml(postgres_url), nap_s=0.0)
    queues.queue_worker("-q", "work", "-c", "2")
    jobs = ("one", "four", "one_that_says_much")
    for job in jobs:
        succeeds(queues, job)  # its template is made, which reads a step once

    with psycopg.connect(postgres_url, autocommit=True) as asking:
        of_one_step, of_four_steps, of_one_that_says_much = (logins_of(queues, job, asking) for job in jobs)

    assert of_four_steps == of_one_step
    assert of_one_that_says_much == of_one_step + 1


def logins_of(queues: QueueSystem, job: str, asking: psycopg.Connection) -> int:
    """How many sessions begin in the database while a run comes to its end. Each is counted when it has ended."""

    def asked(sql: str) -> Any:
        return asking.execute(sql).fetchone()[0]  # type: ignore[index]  # one row

    sessions = "SELECT sessions FROM pg_stat_database WHERE datname = current_database()"
    since, before = asked("SELECT now()::text"), asked(sessions)
    succeeds(queues, job)
    of_the_run = (
        f"SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_start > '{since}'"
    )
    queues.wait_for("the end of its sessions", lambda: asked(of_the_run) == 0, END_S)
    return int(asked(sessions) - before)


def succeeds(queues: QueueSystem, job: str) -> None:
    run_id = queues.create(job)
    assert queues.run_to_end(run_id, END_S) == 0
    assert queues.status(run_id) is RunStatus.SUCCESS, queues.story(run_id)
    queues.check(run_id)


def test_where_an_import_leaves_a_thread_each_step_is_started_anew(queues: QueueSystem) -> None:
    worker = queues.queue_worker("-q", "work", "-c", "2", AT_IMPORT="a thread")
    run_id = queues.create("four")

    assert queues.run_to_end(run_id, END_S) == 0

    assert queues.status(run_id) is RunStatus.SUCCESS, queues.story(run_id)
    assert [body["imported_in"] == body["pid"] for body in queues.bodies(run_id, "start")] == [True] * 4
    said = [line for line in queues.stderr(worker).splitlines() if "are started anew" in line]
    assert len(said) == 1
    assert "the thread 'forgotten'" in said[0]


def test_code_that_can_not_be_imported_is_the_outcome_of_its_step(queues: QueueSystem) -> None:
    queues.queue_worker("-q", "work", "-c", "1", AT_IMPORT="an error")
    run_id = queues.create("four")

    assert queues.run_to_end(run_id, END_S) == 0

    assert queues.status(run_id) is RunStatus.FAILURE, queues.story(run_id)
    failures = [event.body["error"]["message"] for event in queues.events(run_id) if event.kind == K.STEP_FAILURE]
    assert len(failures) == 4
    assert all("ValueError: not today" in message for message in failures)


def test_a_template_that_is_killed_costs_an_attempt_of_what_ran(queues: QueueSystem) -> None:
    queues.queue_worker("-q", "work", "-c", "2")
    run_id = queues.create("four_held")
    coordinator = queues.worker(run_id)
    queues.wait_for("two bodies", lambda: len(queues.bodies(run_id, "start")) == 2, 60)
    [template] = queues.templates()

    template.kill()
    queues.wait_for("two more", lambda: len(queues.bodies(run_id, "start")) == 4, 60)
    queues.open_gate()

    assert coordinator.wait(END_S) == 0
    assert queues.status(run_id) is RunStatus.SUCCESS, queues.story(run_id)
    queues.check(run_id)
    assert set(queues.completed(run_id).values()) == {1}


def test_a_worker_that_is_killed_leaves_no_process(queues: QueueSystem) -> None:
    worker = queues.queue_worker("-q", "work", "-c", "2")
    run_id = queues.create("four_held")
    coordinator = queues.worker(run_id)
    queues.wait_for("two bodies", lambda: len(queues.bodies(run_id, "start")) == 2, 60)

    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()

    queues.wait_for("the end of all", lambda: [p.pid for p in queues.processes()] == [coordinator.pid])
