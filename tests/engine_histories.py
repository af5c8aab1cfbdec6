"""Records the histories of a release: ``python tests/engine_histories.py 0.1`` writes ``tests/histories/0.1/*.json``.

Recorded once per release and never again: what is there is what that release stored. Some come from real runs, the others from
the world that the engine's tests draw, chosen so that each kind of trouble is there several times.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine_graphs import draw_setting
from engine_world import Setting, Store, World
from runplane import (
    DynamicOut,
    DynamicOutput,
    JobDefinition,
    Out,
    Output,
    RetryPolicy,
    RetryRequested,
    __version__,
    job,
    op,
)
from runplane.engine.commands import Happened
from runplane.instance.instance import Instance
from runplane.testing.replay import History, as_facts, record, write_history

HISTORIES = Path(__file__).resolve().parent / "histories"
SIZES = range(12, 60)


def main(release: str) -> None:
    folder = HISTORIES / release
    folder.mkdir(parents=True)
    for name, history in [*real_runs(), *drawn_runs()]:
        write_history(record(history), folder / f"{name}.json")


def real_runs() -> Iterator[tuple[str, History]]:
    for make in (a_diamond, a_skip, a_map, a_retry, a_failure, an_empty_map):
        instance = Instance.ephemeral()
        result = make().execute_in_process(instance=instance, raise_on_error=False)
        run = instance.runs.get(result.run_id)
        assert run.plan_id is not None
        events = instance.journal.tail(run.run_id, 0, 10_000)
        plan = instance.journal.get_plan(run.plan_id)
        about = f"A real run: {make.__doc__}"
        yield f"real_{make.__name__}", History(about, __version__, plan, _anywhere(as_facts(events)))


def _anywhere(facts: Sequence[Happened]) -> tuple[Happened, ...]:
    """Without the recorder's folder, and with times that begin at 1000."""
    found = []
    for fact in facts:
        body = json.loads(json.dumps(dict(fact.body)).replace(str(HISTORIES.parents[1]), "/project"))
        found.append(replace(fact, body=body, at=round(1000 + fact.at - facts[0].at, 3)))
    return tuple(found)


def drawn_runs() -> Iterator[tuple[str, History]]:
    used: set[int] = set()
    for name, about, count, wanted in KINDS:
        for number in range(1, count + 1):
            seed, setting, store = next(s for s in _drawn() if s[0] not in used and wanted(s[1], s[2]))
            used.add(seed)
            yield (
                f"{name}_{number}",
                History(
                    f"{about} (seed {seed})",
                    __version__,
                    setting.plan,
                    tuple(store.log),
                    setting.limits,
                    setting.eager,
                    setting.retries_enabled,
                ),
            )


def _drawn() -> Iterator[tuple[int, Setting, Store]]:
    for seed in range(100_000):
        rng = random.Random(seed)
        setting = draw_setting(rng, eager=seed % 7 == 0, intents=seed % 3 == 0)
        store = World(setting, rng).run()
        if len(store.log) in SIZES:
            yield seed, setting, store


def _sealed(cause: str) -> Callable[[Setting, Store], bool]:
    return lambda _, store: any(f.kind == "STEP_SEALED" and f.body["cause"] == cause for f in store.log)


def _has(kind: str) -> Callable[[Setting, Store], bool]:
    return lambda _, store: any(f.kind == kind for f in store.log)


def _ended(intent: str) -> Callable[[Setting, Store], bool]:
    return lambda _, store: store.intent == intent and _has("STEP_SEALED")(_, store)


KINDS: list[tuple[str, str, int, Callable[[Setting, Store], bool]]] = [
    ("lost", "Attempts are lost and run again", 3, _sealed("LOST")),
    ("crashed", "Attempts crash and use the policy", 3, _sealed("CRASHED")),
    ("timed_out", "Attempts are over their time limit", 2, _sealed("TIMED_OUT")),
    ("refused", "Attempts can not be started", 2, _sealed("LAUNCH_REFUSED")),
    ("canceled", "A cancel, with steps in flight", 3, _ended("cancel")),
    ("deadline", "A deadline, with steps in flight", 2, _ended("deadline")),
    ("worker_lost", "The worker may not be resumed again", 1, _ended("lost")),
    ("skipped", "Skips go down", 2, _has("STEP_SKIPPED")),
    ("eager", "Steps start early", 2, lambda setting, store: setting.eager and len(store.log) > 25),
    ("mapped", "Mapped steps and collectors", 2, lambda _, store: sum("[" in (f.step or "") for f in store.log) > 15),
    ("limited", "Tag limits and pools", 2, lambda s, store: len(s.limits.tags) > 1 and len(store.log) > 30),
]


def a_diamond() -> JobDefinition:
    """one step, two, one."""

    @op
    def first() -> int:
        return 1

    @op
    def double(x: int) -> int:
        return 2 * x

    @op
    def add(x: int, y: int) -> int:
        return x + y

    @job
    def diamond() -> None:
        x = first()
        add(double(x), double.alias("again")(x))

    return diamond


def a_skip() -> JobDefinition:
    """an optional output that is not produced."""

    @op(out={"some": Out(is_required=False), "other": Out(is_required=False)})
    def branch() -> Iterator[Any]:
        yield Output(1, "some")

    @op
    def take(x: int) -> int:
        return x

    @job
    def branching() -> None:
        some, other = branch()
        take(some)
        take.alias("below")(take.alias("not_taken")(other))

    return branching


def a_map() -> JobDefinition:
    """three mapped steps, one of which fails at first, and a collector."""
    return _mapped(3)


def an_empty_map() -> JobDefinition:
    """no mapped step; the collector runs with an empty list."""
    return _mapped(0)


def _mapped(count: int) -> JobDefinition:
    failed: set[int] = set()

    @op(out=DynamicOut())
    def make() -> Iterator[Any]:
        for i in range(count):
            yield DynamicOutput(i, str(i))

    @op(retry_policy=RetryPolicy(max_retries=1))
    def work(x: int) -> int:
        if x == 1 and x not in failed:
            failed.add(x)
            raise ValueError("not yet")
        return x

    @op
    def gather(values: list[int]) -> int:
        return sum(values)

    @job
    def mapping() -> None:
        gather(make().map(work).collect())

    return mapping


def a_retry() -> JobDefinition:
    """a step that asks twice to be run again."""
    tries: list[int] = []

    @op
    def stubborn() -> int:
        tries.append(1)
        if len(tries) < 3:
            raise RetryRequested(max_retries=2)
        return 1

    @job
    def retrying() -> None:
        stubborn()

    return retrying


def a_failure() -> JobDefinition:
    """a step that fails, what is below it, and one beside it."""

    @op
    def bad() -> int:
        raise ValueError("no")

    @op
    def take(x: int) -> int:
        return x

    @op
    def beside() -> int:
        return 1

    @job
    def failing() -> None:
        take(bad())
        beside()

    return failing


if __name__ == "__main__":
    main(sys.argv[1])
