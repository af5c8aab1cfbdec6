"""Runs a recorded history through today's engine: what was stored by one release must mean the same to every later one.

A history is the plan of a run, the facts of its log in order, and what a coordinator that takes the run over after each of them
has to do. It is a JSON document of kind ``history``; those of each release lie in ``tests/histories/<release>/``.

The texts of commands are short and hold what matters: ``issue work[3]#2``, ``seal a#1 LOST``, ``record STEP_SKIPPED b``. Messages,
times and evidence may change from release to release.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..engine.commands import Command, FinishRun, Happened, IssueStep, Record, SealStep, StopStep, WakeAt
from ..engine.engine import Engine
from ..engine.limits import Limits, TagLimit
from ..engine.snapshot import PlanSnapshot, plan_from_body, plan_to_body
from ..errors import DocumentError
from ..events.kinds import Category, category_of

HISTORY_VERSION = 1


@dataclass(frozen=True, slots=True)
class History:
    """A recorded run.

    Attributes:
        about: what is special about it, in a sentence.
        release: the version of runplane that recorded it.
        plan: the run's plan.
        facts: the facts of its log, in order.
        limits: limits of its executor.
        eager, retries_enabled: settings of its executor.
        states: how each step stands for a coordinator that has read all of it, templates left out.
        to_do: for each number of facts from 0 on, what a coordinator that has read so many has to do.
    """

    about: str
    release: str
    plan: PlanSnapshot
    facts: tuple[Happened, ...]
    limits: Limits = field(default_factory=Limits)
    eager: bool = False
    retries_enabled: bool = True
    states: Mapping[str, str] = field(default_factory=dict)
    to_do: tuple[tuple[str, ...], ...] = ()


def record(history: History) -> History:
    """`history` with the states and commands that today's engine comes to, and without events that move nothing."""
    facts = tuple(f for f in history.facts if category_of(f.kind) is not Category.ANNOTATION)
    bare = replace(history, facts=facts)
    to_do = []
    for count in range(len(facts) + 1):
        engine = _engine_after(bare, count)
        to_do.append(tuple(_text(c) for c in engine.resume()))
    states = {key: step.state.value for key, step in engine.steps.items() if not step.is_template}
    return replace(bare, states=states, to_do=tuple(to_do))


def replay(history: History) -> None:
    """Run a history through today's engine.

    Raises:
        AssertionError: a step ends differently, or something else has to be done at some point; the text names the first.
        ConflictError: a fact makes no sense to today's engine.
    """
    now = record(history)
    for count, (then, today) in enumerate(zip(history.to_do, now.to_do, strict=True)):
        if then != today:
            after = f"after {_fact_text(history.facts[count - 1])} (fact {count})" if count else "at the start"
            raise AssertionError(f"{after}: {list(today)}, but {history.release} said {list(then)}")
    if dict(now.states) != dict(history.states):
        changed = {k: v for k, v in now.states.items() if history.states.get(k) != v}
        raise AssertionError(f"ends: {changed}, but {history.release} said {dict(history.states)}")


def read_history(path: Path) -> History:
    """Read a history.

    Raises:
        DocumentError: it is no history, or a newer release wrote it.
    """
    try:
        body = json.loads(path.read_text())
    except ValueError as error:
        raise DocumentError(f"this is no JSON: {error}", where=str(path)) from error
    if body.get("kind") != "history" or body.get("v") != HISTORY_VERSION:
        got = f"{body.get('kind')} version {body.get('v')}"
        raise DocumentError(
            "this is no history", where=str(path), got=got, expected=f"history version {HISTORY_VERSION}"
        )
    return History(
        about=body["about"],
        release=body["release"],
        plan=plan_from_body(body["plan"]),
        facts=tuple(Happened(*fact) for fact in body["facts"]),
        limits=Limits(body["max_concurrent"], tuple(TagLimit(*limit) for limit in body["tag_limits"])),
        eager=body["eager"],
        retries_enabled=body["retries_enabled"],
        states=body["states"],
        to_do=tuple(tuple(commands) for commands in body["to_do"]),
    )


def write_history(history: History, path: Path) -> None:
    """Write a history, one fact and one answer a line, so that a difference can be read."""
    head = {
        "kind": "history",
        "v": HISTORY_VERSION,
        "about": history.about,
        "release": history.release,
        "max_concurrent": history.limits.max_concurrent,
        "tag_limits": [[t.key, t.limit, t.value, t.per_value] for t in history.limits.tags],
        "eager": history.eager,
        "retries_enabled": history.retries_enabled,
        "plan": plan_to_body(history.plan),
        "states": dict(history.states),
    }
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
    facts = [json.dumps([f.kind, f.step, f.n, dict(f.body), f.at]) for f in history.facts]
    lines += ['  "facts": [', *_rows(facts), "  ],"]
    lines += ['  "to_do": [', *_rows([json.dumps(list(c)) for c in history.to_do]), "  ]"]
    path.write_text("\n".join(["{", *lines, "}"]) + "\n")


def _rows(rows: Sequence[str]) -> list[str]:
    return [f"    {row}{',' if i + 1 < len(rows) else ''}" for i, row in enumerate(rows)]


def _engine_after(history: History, count: int) -> Engine:
    engine = Engine(
        history.plan,
        history.limits,
        run_id="recorded",
        retries_enabled=history.retries_enabled,
        eager=history.eager,
    )
    engine.fold(history.facts[:count])
    return engine


def _fact_text(fact: Happened) -> str:
    return f"{fact.kind} of {fact.step}#{fact.n}" if fact.step else fact.kind


def _text(command: Command) -> str:
    """A command without what may change between releases."""
    if isinstance(command, FinishRun):
        return f"finish {command.kind}"
    if isinstance(command, WakeAt):
        return f"wake {command.key} at {command.at:g}"
    if isinstance(command, Record):
        return f"record {command.kind} {command.step}"
    if isinstance(command, SealStep | StopStep):
        verb = "seal" if isinstance(command, SealStep) else "stop"
        return f"{verb} {command.step}#{command.n} {command.cause}"
    if isinstance(command, IssueStep):
        return f"issue {command.step}#{command.n} retry {command.retry_number}"
    return f"{type(command).__name__.removesuffix('Step').lower()} {command.step}#{command.n}"


def as_facts(events: Sequence[Any]) -> tuple[Happened, ...]:
    """Stored events (``events.Event``) as the engine's facts."""
    return tuple(Happened(e.kind, e.step, e.n, e.body, e.at) for e in events)
