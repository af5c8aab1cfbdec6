"""Random plans and scripts: plain steps, optional outputs, fan-ins, dynamic outputs, mapped chains, collectors, retries, limits."""

from __future__ import annotations

import random
from dataclasses import replace

from engine_model import Act, Script, expect
from engine_world import Setting
from runplane.engine.limits import Limits, TagLimit
from runplane.engine.snapshot import InputPlan, OutputPlan, OutputRef, PlanSnapshot, RetryPlan, StepPlan

MAPPING_KEYS = "uvwxyz"


def draw_setting(rng: random.Random, *, eager: bool = False, intents: bool = False) -> Setting:
    """A plan with all that happens to it. `intents`: the run is to end on its way."""
    plan, script = _draw_plan(rng, eager)
    most = rng.choice([None, None, 1, 2, 3])
    limits = rng.sample(
        [TagLimit("t", 1, "x"), TagLimit("t", 1, per_value=True), TagLimit("u", 2)], rng.choice([0, 0, 1, 2])
    )
    enabled = rng.random() < 0.9
    setting = Setting(
        plan,
        script,
        limits=Limits(most, tuple(limits)),
        pools={"p": rng.choice([1, 2]), "q": 1},
        retries_enabled=enabled,
        eager=eager,
        through_driver=rng.random() < 0.5,
        crashes=rng.choice([0, 0, 1, 2, 4]),
        losses=rng.choice([0, 0, 1, 3]),
        intent=rng.choice(["cancel", "deadline", "lost"]) if intents else None,
    )
    return replace(setting, expected=expect(plan, script, enabled))


def _draw_plan(rng: random.Random, eager: bool) -> tuple[PlanSnapshot, Script]:
    steps: list[StepPlan] = []
    for i in range(rng.choice([1, 2, 3, 4, 5, 6, 7, 9])):
        dynamic = [OutputRef(s.key, o.name) for s in steps for o in s.outputs if o.dynamic]
        if dynamic and rng.random() < 0.45:
            steps.append(_template(rng, i, steps, rng.choice(dynamic)))
        else:
            steps.append(_plain(rng, i, steps))
    plan = PlanSnapshot("j", tuple(steps))
    return plan, _draw_script(rng, plan, eager)


def _plain(rng: random.Random, i: int, before: list[StepPlan]) -> StepPlan:
    outputs = rng.choice(
        [
            [OutputPlan("result")],
            [OutputPlan("result")],
            [OutputPlan("maybe", required=False)],
            [OutputPlan("result"), OutputPlan("maybe", required=False)],
            [OutputPlan("many", dynamic=True)],
            [OutputPlan("many", dynamic=True)],
            [OutputPlan("many", required=False, dynamic=True), OutputPlan("result")],
            [OutputPlan("many", dynamic=True), OutputPlan("more", dynamic=True)],
        ]
    )
    return _dressed(rng, StepPlan(f"s{i}", f"s{i}", "op", _plain_inputs(rng, before), tuple(outputs)))


def _plain_inputs(rng: random.Random, before: list[StepPlan]) -> tuple[InputPlan, ...]:
    plain = [OutputRef(s.key, o.name) for s in before if s.mapped_over is None for o in s.outputs if not o.dynamic]
    lists = [OutputRef(s.key, o.name) for s in before for o in s.outputs if o.dynamic or s.mapped_over is not None]
    inputs: list[InputPlan] = []
    for j in range(rng.choice([0, 1, 1, 2, 3])):
        how = rng.random()
        if lists and how < 0.5:
            inputs.append(InputPlan(f"i{j}", (rng.choice(lists),), collect=True))
        elif len(plain) > 1 and how < 0.7:
            inputs.append(InputPlan(f"i{j}", tuple(rng.sample(plain, rng.randint(1, min(4, len(plain))))), fan_in=True))
        elif plain:
            inputs.append(InputPlan(f"i{j}", (rng.choice(plain),)))
    return tuple(inputs)


def _template(rng: random.Random, i: int, before: list[StepPlan], over: OutputRef) -> StepPlan:
    siblings = [OutputRef(s.key, o.name) for s in before if s.mapped_over == over for o in s.outputs]
    plain = [OutputRef(s.key, o.name) for s in before if s.mapped_over is None for o in s.outputs if not o.dynamic]
    first = rng.choice(siblings) if siblings and rng.random() < 0.6 else over
    inputs = [InputPlan("i0", (first,))]
    if plain and rng.random() < 0.3:
        inputs.append(InputPlan("i1", (rng.choice(plain),)))
    if siblings and rng.random() < 0.2:
        inputs.append(InputPlan("i2", tuple(dict.fromkeys([rng.choice(siblings), first]))[:2], fan_in=True))
    outputs = rng.choice([[OutputPlan("result")], [OutputPlan("maybe", required=False)]])
    return _dressed(rng, StepPlan(f"m{i}[?]", f"m{i}", "op", tuple(inputs), tuple(outputs), mapped_over=over))


def _dressed(rng: random.Random, step: StepPlan) -> StepPlan:
    """With tags, pools, priority, a policy, a time limit, or without."""
    tags = {}
    if rng.random() < 0.3:
        tags["t"] = rng.choice("xy")
    if rng.random() < 0.3:
        tags["u"] = "1"
    return replace(
        step,
        tags=tags,
        pools=rng.choice([(), (), (), ("p",), ("q",), ("p", "q")]),
        priority=rng.choice([0, 0, 0, 1, -1]),
        retry=rng.choice([None, None, RetryPlan(1), RetryPlan(2, 1.0, "EXPONENTIAL")]),
        timeout_s=rng.choice([None, 30.0]),
    )


def _draw_script(rng: random.Random, plan: PlanSnapshot, eager: bool) -> Script:
    script: dict[str, tuple[Act, ...]] = {}
    trouble = rng.choice([0.0, 0.15, 0.4])
    for step in plan.steps:
        keys = [step.key.replace("?", k) for k in MAPPING_KEYS] if step.mapped_over else [step.key]
        for key in keys:
            script[key] = tuple(_act(rng, step, trouble, eager) for _ in range(4))
    return script


def _act(rng: random.Random, step: StepPlan, trouble: float, eager: bool) -> Act:
    makes: list[tuple[str, str | None]] = []
    for out in step.outputs:
        if out.dynamic:
            makes += [(out.name, k) for k in rng.sample(MAPPING_KEYS, rng.choice([0, 1, 2, 3]))]
        elif out.required or rng.random() < 0.6:
            makes.append((out.name, None))
    if rng.random() >= trouble:
        return Act("ok", tuple(makes))
    how = rng.choice(["fail", "fail", "ask", "crash", "hang" if step.timeout_s else "crash", "refuse"])
    # In eager mode what an attempt made before it failed is taken by whoever was quick enough: not something to be foretold.
    made = [] if eager else makes[: rng.randint(0, len(makes))]
    return Act(how, tuple(made), asks=rng.choice([0, 1, 2]))
