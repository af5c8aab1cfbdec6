"""The tables are the engine: every arc is used, and nothing else is possible."""

from __future__ import annotations

import random

import pytest

from engine_graphs import draw_setting
from engine_plans import step
from engine_world import World
from runplane.engine.arcs import (
    ATTEMPT_ARCS,
    FINAL_STEP_STATES,
    RUN_ARCS,
    STEP_ARCS,
    STEP_TARGET,
    AttemptState,
    StepState,
    Stimulus,
    run_target,
)
from runplane.engine.step import Step
from runplane.errors import ConflictError
from runplane.events.kinds import Category, EventKind, category_of
from runplane.events.status import FINAL, RunStatus

MOST_SEEDS = 1500


def test_every_arc_of_the_table_is_taken_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: set[tuple[StepState, Stimulus]] = set()
    real = Step.move

    def counted(self: Step, stimulus: Stimulus) -> None:
        before = self.state
        real(self, stimulus)
        taken.add((before, stimulus))

    monkeypatch.setattr(Step, "move", counted)
    for seed in range(MOST_SEEDS):
        rng = random.Random(seed)
        World(draw_setting(rng, intents=seed % 2 == 0), rng).run()
        if len(taken) == len(STEP_ARCS):
            break

    assert {(a.source, a.stimulus) for a in STEP_ARCS} - taken == set(), (
        "an arc that nothing takes does not belong there"
    )


@pytest.mark.parametrize("state", StepState)
def test_what_is_not_in_the_table_is_refused(state: StepState) -> None:
    for stimulus in Stimulus:
        if (state, stimulus) in STEP_TARGET:
            continue
        wrong = Step(step("a"), "a", (0, 0), state=state)

        with pytest.raises(ConflictError, match=f"makes no sense for a step that is {state}"):
            wrong.move(stimulus)
        assert wrong.state is state


def test_no_arc_is_there_twice_and_none_leaves_a_final_state() -> None:
    assert len(STEP_TARGET) == len(STEP_ARCS)
    assert [a for a in STEP_ARCS if a.source in FINAL_STEP_STATES] == []
    assert [a for a in RUN_ARCS.values() if FINAL & set(a.sources)] == []


def test_every_state_is_reached_and_every_open_one_is_left() -> None:
    assert {a.target for a in STEP_ARCS} == set(StepState) - {StepState.WAITING}
    assert {a.source for a in STEP_ARCS} == set(StepState) - FINAL_STEP_STATES
    assert {a.target for a in ATTEMPT_ARCS.values()} == set(AttemptState)
    assert {a.target for a in RUN_ARCS.values()} == set(RunStatus) - {
        RunStatus.NOT_STARTED,
        RunStatus.SUSPENDED,
        RunStatus.MANAGED,
    }


def test_every_fact_has_an_arc_and_no_annotation_has_one() -> None:
    facts = {k for k in EventKind if category_of(k) is not Category.ANNOTATION}

    assert set(ATTEMPT_ARCS) | set(RUN_ARCS) == facts


def test_a_take_over_keeps_the_status() -> None:
    assert run_target(EventKind.RUN_RESUMED, RunStatus.CANCELING) is RunStatus.CANCELING
    assert run_target(EventKind.RUN_RESUMED, RunStatus.STARTED) is RunStatus.STARTED
    assert run_target(EventKind.RUN_RESUMED, RunStatus.QUEUED) is None


@pytest.mark.parametrize("kind", RUN_ARCS)
@pytest.mark.parametrize("status", sorted(FINAL))
def test_a_run_that_is_over_stays_as_it_is(kind: EventKind, status: RunStatus) -> None:
    assert run_target(kind, status) is None
