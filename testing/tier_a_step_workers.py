"""The tier A suite of executors whose steps stand for themselves (pods, tasks): they claim, write, die and live on by themselves.

Inherit from ``TierAStepWorkers``, give it the fixture ``place`` and the `job`, one of the tier A module with such an executor. It wants
of the executor that the first attempt of the step in ``RUNPLANE_STEP_CRASH_AT`` dies at the numbered call of its database.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from ..events.kinds import EventKind
from ..events.status import RunStatus
from .crashing import STEP_CRASH_ENV
from .tier_a import BODIES, WORKER_TIMEOUT_S, Place, Runs, check_events, check_no_success_ran_again
from .tier_a_job import NAP_ENV

CRASHING_STEPS = ("first", "nothing", "spread", "flaky", "collect", "mapped[1]", "gather")
POINTS_PER_STEP = 4
"""Before and after the claim, before and after the outcome."""
STEP_POINTS = range(1, POINTS_PER_STEP * len(CRASHING_STEPS) + 1)


class TierAStepWorkers:
    """The suite. See the module's docstring for what to give it."""

    job: str

    @pytest.fixture
    def runs(self, place: Place) -> Iterator[Runs]:
        """Runs of this place, whose bodies take a moment."""
        made = Runs(place, self.job, nap_s=0.0)
        yield made
        made.close()

    def test_a_run_without_accident_runs_each_body_once(self, runs: Runs) -> None:
        run_id = runs.create()

        assert runs.run_to_end(run_id) == 0

        check_events(runs.events(run_id))
        assert _ends(runs, run_id) == {**BODIES, **{f"mapped[{i}]": 1 for i in range(3)}}
        _nothing_is_left(runs)

    def test_a_step_worker_is_killed_at_a_numbered_point(self, runs: Runs, step_point: int) -> None:
        step = CRASHING_STEPS[(step_point - 1) // POINTS_PER_STEP]
        point = (step_point - 1) % POINTS_PER_STEP + 1
        run_id = runs.create()

        assert runs.run_to_end(run_id, **{STEP_CRASH_ENV: f"{step}:{point}"}) == 0

        events = runs.events(run_id)
        assert runs.status(run_id) is RunStatus.SUCCESS
        check_events(events)
        check_no_success_ran_again(events, runs.bodies(run_id))
        sealed = [(e.step, e.n) for e in events if e.kind == EventKind.STEP_SEALED]
        assert sealed == ([(step, 1)] if point < POINTS_PER_STEP else []), "an outcome that was stored stands"
        _nothing_is_left(runs)

    def test_steps_outlive_their_coordinator_and_are_adopted(self, place: Place) -> None:
        runs = Runs(place, self.job, nap_s=2.0)
        try:
            run_id = runs.create()
            coordinator = runs.worker(run_id)
            runs.wait_for(
                "the mapped steps", lambda: any(b["step"] == "mapped[0]" for b in runs.bodies(run_id)), WORKER_TIMEOUT_S
            )
            coordinator.send_signal(signal.SIGKILL)

            assert coordinator.wait(WORKER_TIMEOUT_S) == -signal.SIGKILL
            runs.extra[NAP_ENV] = "0"  # of the steps that come after
            assert runs.run_to_end(run_id) == 0
            events = runs.events(run_id)
            assert runs.status(run_id) is RunStatus.SUCCESS
            check_events(events)
            assert [e.step for e in events if e.kind == EventKind.STEP_SEALED] == [], "a living step was given up"
            assert _ends(runs, run_id) == {**BODIES, **{f"mapped[{i}]": 1 for i in range(3)}}
            _nothing_is_left(runs)
        finally:
            runs.close()

    def test_a_cancel_leaves_nothing(self, place: Place) -> None:
        runs = Runs(place, self.job, nap_s=30.0)
        try:
            run_id = runs.create()
            coordinator = runs.worker(run_id)
            runs.wait_for("the first body", lambda: bool(runs.bodies(run_id)), WORKER_TIMEOUT_S)
            assert {b["pid"] for b in runs.bodies(run_id)} <= set(runs.left_running()), "what runs is not seen"

            runs.instance.cancel(run_id)

            coordinator.wait(WORKER_TIMEOUT_S)
            assert runs.status(run_id) is RunStatus.CANCELED
            check_events(runs.events(run_id))
            _nothing_is_left(runs)
        finally:
            runs.close()


def _nothing_is_left(runs: Runs) -> None:
    """A step's process is gone soon after its outcome is stored, and may outlive its coordinator by that."""
    runs.wait_for("the end of all that was started", lambda: not runs.left_running(), WORKER_TIMEOUT_S)


def _ends(runs: Runs, run_id: str) -> dict[str, int]:
    ended = [str(b["step"]) for b in runs.bodies(run_id) if b["what"] == "end"]
    return {step: ended.count(step) for step in ended}
