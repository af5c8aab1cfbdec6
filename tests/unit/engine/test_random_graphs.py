"""Random graphs in a world where anything may happen, compared with a model that works the end out from scratch.

A failure names its seed: ``RUNPLANE_TEST_SEED=<seed>`` runs that one alone.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest

from engine_graphs import draw_setting
from engine_world import Setting, Store, World, Wrong
from runplane.engine.arcs import AttemptState
from runplane.engine.commands import FinishRun
from runplane.engine.engine import Engine
from runplane.events.causes import OWN_BUDGETS, FailureCause
from runplane.events.kinds import EventKind
from runplane.events.status import RunStatus
from scale import scaled

PARTS = 4
"""Each count is dealt out to so many tests, so that two workers share them."""
COMPLETE = scaled(1600, long=40_000, few=160)
EAGER = scaled(300, long=6_000, few=30)
ENDED = scaled(600, long=14_000, few=60)


def each_seed(part: int, count: int, check: Callable[[int], None]) -> None:
    only = os.environ.get("RUNPLANE_TEST_SEED")
    for seed in [int(only)] if only else range(part, count, PARTS):
        try:
            check(seed)
        except Exception as error:
            raise Wrong(f"seed {seed}: {type(error).__name__}: {error}") from error


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(PARTS))
def test_every_run_comes_to_the_end_that_its_script_says(part: int) -> None:
    each_seed(part, COMPLETE, lambda seed: complete(seed, eager=False))


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(PARTS))
def test_starting_steps_early_changes_nothing_about_the_end(part: int) -> None:
    each_seed(part, EAGER, lambda seed: complete(seed, eager=True))


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_run_that_is_to_end_leaves_nothing_open(part: int) -> None:
    each_seed(part, ENDED, ended)


def complete(seed: int, *, eager: bool) -> None:
    rng = random.Random(seed)
    setting = draw_setting(rng, eager=eager)
    store = World(setting, rng).run()
    expected = setting.expected
    assert expected is not None

    states = states_of(store)
    assert states == expected.states
    failed = "FAILED" in expected.states.values()
    assert store.status is (RunStatus.FAILURE if failed else RunStatus.SUCCESS)
    assert_accounts(setting, store)
    assert_foldable(setting, store)


def ended(seed: int) -> None:
    rng = random.Random(seed)
    setting = draw_setting(rng, intents=True)
    store = World(setting, rng).run()

    allowed = {"cancel": RunStatus.CANCELED, "deadline": RunStatus.FAILURE, "lost": RunStatus.FAILURE}
    assert setting.intent is not None
    if store.intent == "none":
        assert store.status in (RunStatus.SUCCESS, RunStatus.FAILURE)
    else:
        assert store.status in (allowed[setting.intent], RunStatus.FAILURE)
    assert not store.slots
    # What was never started says so itself: no reader has to conclude it from how the run ended.
    assert {s.key for s in setting.plan.steps if s.mapped_over is None} <= set(states_of(store))
    assert_accounts(setting, store)
    assert_foldable(setting, store)


def states_of(store: Store) -> dict[str, str]:
    """The end of each step, from the log alone."""
    ends = {
        EventKind.STEP_SUCCESS: "SUCCEEDED",
        EventKind.STEP_FAILURE: "FAILED",
        EventKind.STEP_SKIPPED: "SKIPPED",
        EventKind.STEP_ABANDONED: "ABANDONED",
    }
    states: dict[str, str] = {}
    for fact in store.log:
        if fact.step is not None and fact.kind in ends:
            assert fact.step not in states, f"two ends of {fact.step}"
            states[fact.step] = ends[EventKind(fact.kind)]
    return states


def assert_accounts(setting: Setting, store: Store) -> None:
    """Attempts are numbered without gaps, each ended once, and the budgets were kept."""
    for key in {step for step, n in store.rows if n > 0}:
        numbers = sorted(n for step, n in store.rows if step == key and n > 0)
        assert numbers == list(range(1, len(numbers) + 1)), key
        assert all(store.rows[key, n] is AttemptState.DONE for n in numbers), key
        again = [f for f in store.log if f.step == key and f.kind == EventKind.STEP_UP_FOR_RETRY]
        lost = [f for f in again if f.body["cause"] == "LOST"]
        assert len(lost) <= OWN_BUDGETS[FailureCause.LOST]
        if setting.expected is not None and key in setting.expected.retries and setting.intent is None:
            assert len(again) - len(lost) == setting.expected.retries[key], key


def assert_foldable(setting: Setting, store: Store) -> None:
    """A coordinator that reads the whole log has nothing left to do but to end the run the same way."""
    engine = Engine(
        setting.plan, setting.limits, run_id="r", retries_enabled=setting.retries_enabled, eager=setting.eager
    )
    engine.fold(store.log[:-1])
    commands = engine.resume()
    assert isinstance(commands[-1], FinishRun)
    if store.intent == "none":
        assert [type(c) for c in commands] == [FinishRun]
        assert commands[0].kind == store.log[-1].kind  # type: ignore[union-attr]
