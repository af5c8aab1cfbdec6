"""Images of other versions in one run: what minor versions add is understood, another major version is refused by name and not retried."""

from __future__ import annotations

import pytest

from runplane.events.kinds import EventKind
from runplane.events.status import RunStatus
from services.kubernetes_room import MakeRoom


def test_steps_of_an_older_and_of_a_newer_minor_version_take_part(make_room: MakeRoom) -> None:
    room = make_room()
    room.pods.levels = {None: "1.1", "left": "1.0", "right": "1.2"}

    run_id = room.submit("k8s")

    assert room.wait_for_end(run_id) == [RunStatus.SUCCESS], room.story()
    room.check(run_id)
    assert room.instance.journal.head(run_id).level == "1.1", "that of the run's worker"


@pytest.mark.parametrize("level", ["0.9", "2.0"])
def test_a_step_of_another_major_version_is_refused_by_name_and_not_retried(make_room: MakeRoom, level: str) -> None:
    room = make_room()
    room.pods.levels = {"right": level}

    run_id = room.submit("k8s")

    assert room.wait_for_end(run_id) == [RunStatus.FAILURE], room.story()
    events = room.check(run_id)
    (failure,) = [e for e in events if e.kind == EventKind.STEP_FAILURE]
    assert (failure.step, failure.n) == ("right", 1), room.story()
    told = str(failure.body)
    assert level in told, told
    assert "1.0" in told, told
