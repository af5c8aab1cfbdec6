"""What attempts did when, told from the log alone: their pods may be long gone."""

from __future__ import annotations

from typing import Any

from runplane.cli.phases import attempt_to_json, phases
from runplane.cli.report import pods
from runplane.cli.story import RunStory
from runplane.engine.snapshot import PlanSnapshot, StepPlan
from runplane.events.event import Event

POD = {"namespace": "team", "job": "step-x", "pod": "step-x-abcde", "node": "node-1"}
TIMES = {"created_at": 1002.0, "scheduled_at": 1003.0, "started_at": 1007.0}
SUCCESS = {"duration_ms": 3500.0, "inputs_ms": 500.0, "user_code_ms": 2000.0}


class Told:
    """A story of one step, fed with events at seconds of the run."""

    def __init__(self) -> None:
        self.story = RunStory(PlanSnapshot("j", (StepPlan("a", "a", "a"),)))
        self.seq = 0
        self(0, "RUN_START", None, None)

    def __call__(self, at: float, kind: str, step: str | None = "a", n: int | None = 1, **body: Any) -> None:
        self.seq += 1
        self.story.take(Event("r", self.seq, kind, step, n, body, 1000 + at, 1000 + at))

    def phases(self, n: int = 1) -> dict[str, float]:
        step = self.story.steps["a"]
        return phases(self.story, step, step.attempts[n - 1])


def of_a_pod(times: dict[str, Any], **success: Any) -> Told:
    told = Told()
    told(1, "STEP_ISSUED")
    told(8, "ENGINE_EVENT", pod={**POD, **times}, message="Pod ... runs")
    told(9, "STEP_WORKER_STARTED")
    told(10, "STEP_START")
    told(13.5, "STEP_SUCCESS", **success)
    return told


def test_each_phase_of_a_pod() -> None:
    assert of_a_pod(TIMES, **SUCCESS).phases() == {
        "queued": 2.0,
        "scheduling": 1.0,
        "pulling": 4.0,
        "starting": 2.0,
        "importing": 1.0,
        "loading inputs": 0.5,
        "user code": 2.0,
        "storing": 1.0,
    }


def test_clocks_that_differ_make_no_phase_negative_and_none_is_counted_twice() -> None:
    found = of_a_pod({**TIMES, "started_at": 1020.0}, **SUCCESS).phases()

    assert min(found.values()) == 0.0
    assert (found["pulling"], found["starting"]) == (17.0, 0.0)


def test_without_a_pod_and_for_a_step_that_fails() -> None:
    told = Told()
    told(1, "STEP_ISSUED")
    told(2, "STEP_WORKER_STARTED")
    told(4, "STEP_START")
    told(9, "STEP_FAILURE", cause="USER_CODE")

    assert told.phases() == {"queued": 1.0, "starting": 1.0, "importing": 2.0, "user code": 5.0}
    assert pods(told.story) == []


def test_each_attempt_says_where_it_was_and_why_it_ended() -> None:
    told = Told()
    told(1, "STEP_ISSUED")
    told(3, "ENGINE_EVENT", pod={**POD, **TIMES})
    told(5, "STEP_SEALED", cause="NODE_LOST", evidence="the node is gone\nIt printed last: ...")
    told(6, "STEP_ISSUED", n=2)
    told(7, "ENGINE_EVENT", n=2, pod={**POD, "pod": "step-x-1-fghij", "created_at": 1008.0})
    told(9, "STEP_WORKER_STARTED", n=2)

    lines = pods(told.story)

    assert lines[0] == "  a attempt 1: job step-x, pod step-x-abcde, node node-1"
    assert "NODE" not in lines[2]
    assert "the node is gone" in lines[2]
    assert lines[3] == "  a attempt 2: job step-x, pod step-x-1-fghij, node node-1"
    assert lines[4].strip() == "queued 3.00 s, starting 1.00 s"
    first = attempt_to_json(told.story, told.story.steps["a"], told.story.steps["a"].attempts[0])
    assert (first["cause"], first["pod"]["node"], first["outcome"]) == ("NODE_LOST", "node-1", "STEP_SEALED")
