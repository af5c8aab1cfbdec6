"""What the engine alone takes per op, without storage and processes: each fact handed to it, its commands taken.

    python bench/engine.py

An op is issued, claimed, makes an output and succeeds: four facts. `fold` reads the same facts again, as a take-over does.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable

from runplane.engine.commands import Happened, IssueStep
from runplane.engine.engine import Engine
from runplane.engine.limits import Limits, TagLimit
from runplane.engine.snapshot import InputPlan, OutputPlan, OutputRef, PlanSnapshot, StepPlan
from runplane.events.kinds import EventKind

SIZES = (500, 1_000, 10_000)
TIMES = 7
AIM_US = 30.0
_OUTPUT = {"output": "result", "mapping_key": None, "location": None}


def independent(count: int) -> PlanSnapshot:
    return PlanSnapshot("j", tuple(_step(f"s{i}") for i in range(count)))


def chain(count: int) -> PlanSnapshot:
    return PlanSnapshot("j", tuple(_step(f"s{i}", *([f"s{i - 1}"] if i else [])) for i in range(count)))


def limited(count: int) -> PlanSnapshot:
    return PlanSnapshot("j", tuple(_step(f"s{i}", tags={"t": "1"}) for i in range(count)))


def fan_in(count: int) -> PlanSnapshot:
    return PlanSnapshot(
        "j", (*independent(count - 1).steps, _step("last", *(f"s{i}" for i in range(count - 1)), many=True))
    )


def mapped(count: int) -> PlanSnapshot:
    """One that makes, `count` - 2 that work, one that gathers."""
    make = StepPlan("make", "make", "make", outputs=(OutputPlan("result", dynamic=True),))
    source = OutputRef("make", "result")
    work = StepPlan("work[?]", "work", "work", inputs=(InputPlan("x", (source,)),), mapped_over=source)
    gather = StepPlan("gather", "g", "g", inputs=(InputPlan("all", (OutputRef("work[?]", "result"),), collect=True),))
    return PlanSnapshot("j", (make, work, gather))


def _step(key: str, *sources: str, tags: dict[str, str] | None = None, many: bool = False) -> StepPlan:
    refs = tuple(OutputRef(s, "result") for s in sources)
    inputs = (InputPlan("all", refs, fan_in=True),) if many else tuple(InputPlan("x", (ref,)) for ref in refs)
    return StepPlan(key, key, key, inputs=inputs, tags=tags or {})


def drive(plan: PlanSnapshot, count: int, limits: Limits) -> list[Happened]:
    """Run the plan; return the facts."""
    engine = Engine(plan, limits, run_id="r")
    facts: list[Happened] = []
    todo = engine.start()
    while todo:
        later = []
        for command in todo:
            if not isinstance(command, IssueStep):
                continue
            key, n = command.step, command.n
            keys = range(count - 2) if key == "make" else [None]
            outputs = [
                Happened("STEP_OUTPUT", key, n, {**_OUTPUT, "mapping_key": None if k is None else str(k)}) for k in keys
            ]
            for fact in (
                Happened(EventKind.STEP_ISSUED, key, n),
                Happened(EventKind.STEP_WORKER_STARTED, key, n),
                *outputs,
                Happened(EventKind.STEP_SUCCESS, key, n),
            ):
                later += engine.handle(fact)
                if fact.kind == EventKind.STEP_ISSUED:
                    engine.inputs_of(key)
                facts.append(fact)
        todo = later
    assert engine.is_over
    return facts


def fold(plan: PlanSnapshot, facts: list[Happened], limits: Limits) -> None:
    engine = Engine(plan, limits, run_id="r")
    engine.fold(facts)
    engine.resume()


def best(action: Callable[[], object]) -> float:
    """CPU seconds of the fastest of some runs, without the collector's pauses."""
    found = []
    for _ in range(TIMES):
        gc.collect()
        gc.disable()
        began = time.process_time()
        action()
        found.append(time.process_time() - began)
        gc.enable()
    return min(found)


def slope(sizes: tuple[int, ...], seconds: list[float]) -> float:
    """Of the line through the points in log-log: 1 is linear."""
    xs, ys = [math.log(s) for s in sizes], [math.log(t) for t in seconds]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum((a - x) ** 2 for a in xs)


def main() -> None:
    none, one = Limits(), Limits(tags=(TagLimit("t", 1),))
    kinds = {
        "independent": (independent, none),
        "chain": (chain, none),
        "one at a time": (limited, one),
        "fan-in": (fan_in, none),
        "mapped": (mapped, none),
    }
    print(
        f"{'us per op (aim: ' + format(AIM_US, 'g') + ')':<24}"
        + "".join(f"{size:>10,}" for size in SIZES)
        + f"{'slope':>8}"
    )
    for name, (make, limits) in kinds.items():
        runs, folds = [], []
        for size in SIZES:
            plan = make(size)
            facts = drive(plan, size, limits)
            runs.append(best(lambda: drive(plan, size, limits)))  # noqa: B023 - called at once
            folds.append(best(lambda: fold(plan, facts, limits)))  # noqa: B023
        for what, seconds in ((name, runs), (f"{name}, fold", folds)):
            each = "".join(f"{1e6 * s / size:>10.1f}" for s, size in zip(seconds, SIZES, strict=True))
            print(f"{what:<24}{each}{slope(SIZES, seconds):>8.2f}")


if __name__ == "__main__":
    main()
