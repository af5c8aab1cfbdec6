"""What goes wrong when a run is over, and logs that have no end to mark."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runplane.events.event import NewEvent
from runplane.events.kinds import EventKind
from runplane.events.run import Run
from runplane.events.status import RunStatus
from runplane.instance.instance import Instance
from runplane.instance.load import from_yaml
from runplane.storage.compute_logs import LocalComputeLogStore
from runplane.storage.contract import Finish
from runplane.storage.liveness import this_process
from runplane.workers.run import fail_with_exception

RUN = Run("0" * 32, "job")


def event(kind: EventKind, **body: Any) -> NewEvent:
    return NewEvent(kind, None, None, body, time.time())


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    with Instance(from_yaml("", tmp_path, {}), {}) as made:
        made.journal.create(RUN)
        yield made


def test_what_a_coordinator_raises_then_is_noted_and_the_runs_end_stays(instance: Instance) -> None:
    claim = instance.journal.claim_run(RUN.run_id, this_process(), [], event(EventKind.RUN_START))
    assert claim is not None
    instance.journal.commit(RUN.run_id, claim.epoch, 1, [Finish(event(EventKind.RUN_SUCCESS))])

    found = fail_with_exception(instance, RUN, claim, OSError("could not be closed"))

    assert found is RunStatus.SUCCESS
    last = instance.tail(RUN.run_id, 0)[-1]
    assert (last.kind, last.body["message"]) == (EventKind.ENGINE_EVENT, "The run was over when its worker raised.")
    assert "could not be closed" in last.body["error"]["message"]


def captured(instance: Instance, key: str, **place: str) -> Path:
    """A log that was announced; the file that says that it is complete."""
    log_key = [RUN.run_id, "compute_logs", key]
    instance.journal.annotate(RUN.run_id, [event(EventKind.LOGS_CAPTURED, log_key=log_key, **place)])
    assert isinstance(instance.logs, LocalComputeLogStore)
    return instance.logs.path(log_key, "complete")


def test_logs_of_pods_are_not_marked_as_complete(instance: Instance) -> None:
    mine, pods = captured(instance, "mine"), captured(instance, "pods", pod="dagster-step-1")

    instance.complete_logs(RUN.run_id)

    assert mine.exists()
    assert not pods.exists()


def test_a_mark_that_can_not_be_made_fails_nobody(instance: Instance) -> None:
    mark = captured(instance, "mine")
    mark.parent.parent.parent.mkdir(parents=True)
    mark.parent.parent.touch()

    instance.complete_logs(RUN.run_id)

    assert "can not be marked" in instance.tail(RUN.run_id, 0)[-1].body["message"]
