"""Re-execution from failure of random runs: exactly what the first run did not finish runs, with the inputs it would have had."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from engine_graphs import draw_setting
from engine_model import Act, Script, act_of, expect
from engine_world import Setting, World, Wrong
from runplane.engine.snapshot import PlanSnapshot, template_key
from runplane.events.event import Event
from runplane.events.kinds import EventKind
from runplane.plan.reexecution import Finished, Remainder, finished_by, remainder_of
from scale import IS_LONG, scaled

PARTS = 2
RUNS = scaled(1000, long=20_000, few=100)
pytestmark = pytest.mark.timeout(scaled(120, long=3600))


@pytest.mark.parametrize("part", range(PARTS))
def test_exactly_the_complement_runs(part: int) -> None:
    again = sum(run_again(seed) for seed in range(part, RUNS, PARTS))

    assert again > RUNS / PARTS / 10, "too few runs left anything to do"


def run_again(seed: int) -> bool:
    """Run a setting, then what is left of it with every trouble gone; False when nothing was left."""
    rng = random.Random(seed)
    first = replace(draw_setting(rng), crashes=0, losses=0)
    log = World(first, rng).run().log
    finished = finished_by("r", [Event("r", i, f.kind, f.step, f.n, f.body, 0.0, 0.0) for i, f in enumerate(log)])
    left = remainder_of(first.plan, finished)
    if not left.step_keys:
        return False
    script = cured(first, finished)
    expected = expect(first.plan, script)
    second = replace(
        first, plan=part_of(first.plan, left), script=script, expected=expected, crashes=rng.choice([0, 1])
    )
    try:
        store = World(second, rng).run()
    except Exception as error:
        raise Wrong(f"seed {seed}: {type(error).__name__}: {error}") from error

    started = {f.step for f in store.log if f.kind == EventKind.STEP_ISSUED}
    unfinished = {key for key, state in expected.states.items() if state == "SUCCEEDED"} - finished.steps
    assert started == unfinished, f"seed {seed}"
    return True


def cured(first: Setting, finished: Finished) -> Script:
    """What finished did what it did; everything else succeeds at once."""
    assert first.expected is not None
    script: dict[str, tuple[Act, ...]] = {}
    for key, acts in first.script.items():
        if first.expected.states.get(key) == "SUCCEEDED" and key in finished.steps:
            script[key] = (act_of(first.script, key, first.expected.retries[key]),)
        else:
            outputs = first.plan.step(key).outputs
            well = Act("ok", tuple((o.name, "u" if o.dynamic else None) for o in outputs))
            script[key] = (next((act for act in acts if act.how == "ok"), well),)
    return script


def part_of(plan: PlanSnapshot, left: Remainder) -> PlanSnapshot:
    """The steps that are left, and the templates that these take from."""
    wanted = {key if key in {s.key for s in plan.steps} else template_key(key) for key in left.step_keys}
    for step in reversed(plan.steps):
        if step.key in wanted:
            wanted |= {ref.step for i in step.inputs for ref in i.sources if ref.step.endswith("[?]")}
    steps = tuple(step for step in plan.steps if step.key in wanted)
    return replace(plan, steps=steps, known_outputs=left.known_outputs, known_steps=left.known_steps)


# Not made smaller when one fails: the story of a seed is short, and making it so takes minutes.
@settings(
    max_examples=scaled(150, long=20_000),
    deadline=None,
    derandomize=not IS_LONG,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(
    seed=st.integers(0, 1 << 32),
    cuts=st.lists(st.floats(0, 1), min_size=1, max_size=3),
)
@example(
    seed=7395, cuts=[0.0, 0.7924207975382118, 0.7574694143175877]
)  # killed between a success and the skip that follows from it
def test_killed_after_any_event_the_complement_runs(seed: int, cuts: list[float]) -> None:
    """A run is killed, and the run that retries it is, and so on: none repeats a success, and the last one does all that is left."""
    rng = random.Random(seed)
    whole = replace(draw_setting(rng), crashes=0, losses=0)
    plan, done = whole.plan, frozenset[str]()
    for cut in cuts:
        log = World(replace(whole, plan=plan), rng).run().log
        killed = log[: round(cut * len(log))]
        assert not done & issued(killed), "a step whose success is stored was run again"
        finished = finished_by(
            "r", [Event("r", i, f.kind, f.step, f.n, f.body, 0.0, 0.0) for i, f in enumerate(killed)]
        )
        left = remainder_of(plan, finished)
        if not left.step_keys:
            return
        done |= finished.steps
        script = cured(whole, Finished(done, ()))
        whole = replace(whole, script=script, expected=expect(whole.plan, script))
        plan = part_of(plan, left)

    last = World(replace(whole, plan=plan), rng).run().log

    assert whole.expected is not None
    wanted = {key for key, state in whole.expected.states.items() if state == "SUCCEEDED"}
    assert issued(last) == wanted - done, "what is run again is not the complement of the successes"


def issued(log: Sequence[Any]) -> frozenset[str]:
    return frozenset(f.step for f in log if f.kind == EventKind.STEP_ISSUED)
