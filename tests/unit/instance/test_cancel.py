"""Who cancels a run ends it when nobody else will."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from runplane.events.event import NewEvent
from runplane.events.kinds import EventKind
from runplane.events.status import RunStatus
from runplane.instance.instance import Instance, RunRequest
from runplane.launchers.contract import LaunchRequest, TerminateResult, WorkerHandle
from runplane.storage.liveness import this_process
from runplane.workers.authority import Denied, acquire


class Forgetful:
    """A launcher whose process was killed after it had started a worker."""

    def __init__(self) -> None:
        self.terminated: list[str] = []

    def launch(self, request: LaunchRequest) -> WorkerHandle:
        return WorkerHandle("forgetful")

    def terminate(self, run_id: str, handle: WorkerHandle) -> TerminateResult:
        self.terminated.append(run_id)
        return TerminateResult.DELIVERED


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    made = Instance.from_yaml("", tmp_path)
    made.__dict__["launcher"] = Forgetful()
    return made


def starting(instance: Instance) -> str:
    run_id = instance.create(RunRequest("job")).run_id
    instance.journal.move(run_id, NewEvent(EventKind.RUN_STARTING, None, None, {}, time.time()))
    return run_id


def test_a_run_whose_launch_nobody_lived_to_note_is_canceled_at_once(instance: Instance) -> None:
    run_id = starting(instance)

    head = instance.cancel(run_id)

    assert head.status is RunStatus.CANCELED
    late = acquire(instance.journal, instance.runs.get(run_id), this_process(), resumes_allowed=3)
    assert isinstance(late, Denied), "a worker that comes later runs it all the same"
    instance.close()


def test_a_worker_that_has_not_claimed_its_run_is_told_to_end(instance: Instance) -> None:
    run_id = starting(instance)
    instance.runs.put_handle(run_id, {"kind": "forgetful", "data": {}})

    instance.cancel(run_id)

    launcher = instance.launcher
    assert isinstance(launcher, Forgetful)
    assert launcher.terminated == [run_id]
    instance.close()


def test_a_run_whose_worker_lives_is_left_to_it(instance: Instance) -> None:
    run_id = starting(instance)
    acquire(instance.journal, instance.runs.get(run_id), this_process(), resumes_allowed=3)

    head = instance.cancel(run_id)

    assert head.status is RunStatus.CANCELING
    instance.close()
