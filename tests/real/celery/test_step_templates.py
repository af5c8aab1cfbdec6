"""Where the processes of steps of queues come from: forked from a template that imported the code, or started anew where that can not be."""

from __future__ import annotations

import os
import signal

from runplane.events.kinds import EventKind as K
from runplane.events.status import RunStatus
from services.queue_workers import QueueSystem

END_S = 120.0


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
