"""What a run must come to, worked out anew from the plan and the script of its attempts, in the plainest way there is.

It shares no idea with the engine: no events, no counters, no queue. Each step is looked at once, in plan order, with the ends of
all before it at hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from runplane.engine.snapshot import InputPlan, OutputRef, PlanSnapshot, StepPlan

Produced = tuple[str, str, str | None]
"""Step, output, mapping key."""


@dataclass(frozen=True)
class Act:
    """What one attempt of a step does.

    `how`: ok, fail, ask (for another attempt, `asks` of which the step grants itself), crash, hang (until it is stopped for its
    time limit), refuse (can not be started). `makes`: outputs as name and mapping key, made before it ends.
    """

    how: str
    makes: tuple[tuple[str, str | None], ...] = ()
    asks: int = 0


Script = Mapping[str, tuple[Act, ...]]
"""Per step key, what it does at first, after one retry, after two...; what comes after the last is the last again."""


@dataclass
class Expected:
    """How each step ends, what it produced, and with which inputs it ran."""

    states: dict[str, str] = field(default_factory=dict)
    produced: dict[str, list[Produced]] = field(default_factory=dict)
    inputs: dict[str, dict[str, list[Produced]]] = field(default_factory=dict)
    retries: dict[str, int] = field(default_factory=dict)
    instances: dict[str, list[str]] = field(default_factory=dict)
    templates: dict[str, str] = field(default_factory=dict)


def act_of(script: Script, key: str, retries: int) -> Act:
    acts = script[key]
    return acts[min(retries, len(acts) - 1)]


def may_retry(act: Act, step: StepPlan, retries: int, enabled: bool) -> bool:
    """Whether the attempt is followed by another one."""
    if act.how in ("ok", "refuse") or not enabled:
        return False
    if act.how == "ask":
        return retries < act.asks
    return step.retry is not None and retries < step.retry.max_retries


def expect(plan: PlanSnapshot, script: Script, retries_enabled: bool = True) -> Expected:
    """The end of the run, when nobody cancels it and no step is lost too often."""
    e = Expected()
    for step in plan.steps:
        if step.mapped_over is None:
            _one(plan, script, retries_enabled, e, step, step.key, None)
            continue
        mapper, output = step.mapped_over
        if e.states[mapper] in ("FAILED", "ABANDONED"):
            e.templates[step.key] = "ABANDONED"
        elif e.states[mapper] == "SKIPPED":
            e.templates[step.key] = "SKIPPED"
        else:
            keys = [p[2] for p in e.produced[mapper] if p[1] == output]
            required = next(o.required for o in plan.step(mapper).outputs if o.name == output)
            if not keys and not required:
                e.templates[step.key] = "SKIPPED"
                continue
            e.templates[step.key] = "MAPPED"
            e.instances[step.key] = []
            for key in keys:
                assert key is not None
                own = step.key.replace("?", key)
                e.instances[step.key].append(own)
                _one(plan, script, retries_enabled, e, step, own, key)
    return e


def _one(
    plan: PlanSnapshot, script: Script, enabled: bool, e: Expected, step: StepPlan, key: str, mapping: str | None
) -> None:
    skip = bad = False
    inputs: dict[str, list[Produced]] = {}
    for i in step.inputs:
        looks = [_look(plan, e, step, i, source, mapping) for source in i.sources]
        missing = [found is None for found, _ in looks]
        if i.fan_in and looks:
            skip = skip or all(m and not b for m, (_, b) in zip(missing, looks, strict=True))
        else:
            skip = skip or any(m and not b for m, (_, b) in zip(missing, looks, strict=True))
        bad = bad or any(b for _, b in looks)
        if i.sources:
            inputs[i.name] = [p for found, _ in looks for p in found or []]
    e.produced[key] = []
    if skip or bad:
        e.states[key] = "SKIPPED" if skip else "ABANDONED"
        return
    e.inputs[key] = inputs
    retries = 0
    act = act_of(script, key, retries)
    while may_retry(act, step, retries, enabled):
        retries += 1
        act = act_of(script, key, retries)
    e.retries[key] = retries
    e.states[key] = "SUCCEEDED" if act.how == "ok" else "FAILED"
    if act.how == "ok":
        e.produced[key] = [(key, name, mapping_key) for name, mapping_key in act.makes]


def _look(
    plan: PlanSnapshot, e: Expected, step: StepPlan, i: InputPlan, ref: OutputRef, mapping: str | None
) -> tuple[list[Produced] | None, bool]:
    """What there is of a source (None: nothing, and that is missed), and whether somebody failed."""
    source = plan.step(ref.step)
    if source.mapped_over is not None and source.mapped_over == step.mapped_over and mapping is not None:
        return _plain(e, ref.step.replace("?", mapping), ref.output)
    if source.mapped_over is not None:
        if e.templates[ref.step] != "MAPPED":
            return None, e.templates[ref.step] == "ABANDONED"
        keys = e.instances[ref.step]
        if any(e.states[k] in ("FAILED", "ABANDONED") for k in keys):
            return None, True
        found = [p for k in keys for p in e.produced[k] if p[1] == ref.output]
        return (None if keys and not found else found), False
    if i.collect:
        if e.states[ref.step] == "SUCCEEDED":
            found = [p for p in e.produced[ref.step] if p[1] == ref.output]
            required = next(o.required for o in source.outputs if o.name == ref.output)
            return (found if found or required else None), False
        return None, e.states[ref.step] != "SKIPPED"
    there, bad = _plain(e, ref.step, ref.output)
    if there is not None and mapping is not None and step.mapped_over == ref:
        there = [p for p in there if p[2] == mapping]
    return there, bad


def _plain(e: Expected, key: str, output: str) -> tuple[list[Produced] | None, bool]:
    if e.states[key] in ("FAILED", "ABANDONED"):
        return None, True
    found = [p for p in e.produced[key] if p[1] == output]
    return found or None, False
