"""Runs again from where they failed; runs that are canceled before they begin; time limits; pools that two runs share."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from runplane.events.event import NewEvent
from runplane.events.kinds import EventKind
from runplane.events.status import RunStatus
from services.system import System

CODE = """
import os, time
from pathlib import Path
from runplane import DynamicOut, DynamicOutput, In, Nothing, graph, in_process_executor, multiprocess_executor, op

def broken(context):
    \"\"\"Whether the test has not mended this step yet.\"\"\"
    return Path("broken", context.step_key.replace("[", "-").replace("]", "")).exists()

def work(context):
    say(context, "start")
    if broken(context):
        raise ValueError("not mended yet")

@op
def one(context):
    work(context)
    return 1

@op
def plus(context, number):
    work(context)
    return number + 1

@op
def add(context, a, b):
    work(context)
    say(context, "sum", sum=a + b)

@op(out=DynamicOut())
def spread(context):
    work(context)
    for i in range(4):
        yield DynamicOutput(10 * i, mapping_key=str(i))

@op
def total(context, numbers):
    work(context)
    say(context, "sum", sum=sum(numbers))

@op
def sleeps(context):
    say(context, "start")
    time.sleep(60)

@op(tags={"runplane/timeout": "0.5"})
def limited(context):
    say(context, "start")
    time.sleep(60)

@op(pool="db")
def uses_db(context):
    say(context, "start")
    time.sleep(0.05)
    say(context, "end")

@graph
def plain():
    number = one()
    add(plus.alias("left")(number), plus.alias("right")(plus.alias("middle")(number)))

@graph
def dynamic():
    total(spread().map(lambda n: plus.alias("more")(plus(n))).collect())

@graph
def sleepy():
    sleeps()

@graph
def too_slow():
    limited()

@graph
def pooled():
    for i in range(8):
        uses_db.alias(f"user_{i}")()

for each in (plain, dynamic, sleepy, too_slow, pooled):
    name = each.name
    globals()[f"{name}_here"] = each.to_job(name=f"{name}_here", executor_def=in_process_executor)
    globals()[f"{name}_apart"] = each.to_job(name=f"{name}_apart", executor_def=multiprocess_executor.configured({"max_concurrent": 4}))
"""
EXECUTORS = pytest.mark.parametrize("where", ["here", "apart"])


@pytest.fixture
def system(make_system: Callable[..., System]) -> System:
    made = make_system(CODE, "concurrency: {pools: {default_limit: 1, granularity: op}}")
    (made.folder / "broken").mkdir()
    return made


class Broken:
    """Steps that fail until they are mended."""

    def __init__(self, system: System, *steps: str) -> None:
        self._folder = system.folder / "broken"
        for step in steps:
            self._file(step).touch()

    def mend(self, *steps: str) -> None:
        for step in steps:
            self._file(step).unlink()

    def _file(self, step: str) -> Any:
        return self._folder / step.replace("[", "-").replace("]", "")


def ran(system: System, run_id: str) -> list[str]:
    """Keys of the steps whose bodies ran, sorted."""
    return sorted(b["step"] for b in system.bodies(run_id, "start"))


def again(system: System, run_id: str, ends: RunStatus, *words: str) -> str:
    """`run retry`, as a person calls it; the new run's id when it is over."""
    done = system.cli("run", "retry", run_id, *words)
    assert done.returncode == 0, done.stderr
    new = done.stdout.split()[0]
    system.wait_for("its end", lambda: system.status(new).is_final)
    assert system.status(new) is ends, system.story(new)
    system.check(new)
    return new


@EXECUTORS
def test_a_plain_run_again_runs_the_complement_of_what_succeeded(system: System, where: str) -> None:
    broken = Broken(system, "middle")
    first = system.create(f"plain_{where}")
    assert system.run_to_end(first) == 0
    assert system.status(first) is RunStatus.FAILURE
    assert ran(system, first) == ["left", "middle", "one"]
    broken.mend("middle")

    second = again(system, first, RunStatus.SUCCESS)

    assert ran(system, second) == ["add", "middle", "right"]
    assert [b["sum"] for b in system.bodies(second, "sum")] == [5]


@EXECUTORS
def test_a_dynamic_run_again_runs_the_complement_and_so_does_the_run_after_it(system: System, where: str) -> None:
    broken = Broken(system, "plus[1]", "more[3]")
    first = system.create(f"dynamic_{where}")
    assert system.run_to_end(first) == 0
    assert system.status(first) is RunStatus.FAILURE
    broken.mend("plus[1]")

    second = again(system, first, RunStatus.FAILURE)
    broken.mend("more[3]")
    third = again(system, second, RunStatus.SUCCESS)

    assert ran(system, second) == ["more[1]", "more[3]", "plus[1]"]
    assert ran(system, third) == ["more[3]", "total"]
    assert [b["sum"] for b in system.bodies(third, "sum")] == [60 + 8]
    assert system.instance.runs.get(third).root_run_id == first


@EXECUTORS
def test_a_mapper_that_failed_runs_again_with_all_that_it_maps(system: System, where: str) -> None:
    broken = Broken(system, "spread")
    first = system.create(f"dynamic_{where}")
    assert system.run_to_end(first) == 0
    broken.mend("spread")

    second = again(system, first, RunStatus.SUCCESS)

    assert len(ran(system, second)) == 10


@pytest.mark.parametrize("queued", [False, True], ids=["not started", "queued"])
def test_a_run_that_is_canceled_before_it_begins_never_begins(system: System, queued: bool) -> None:
    run_id = system.create("plain_apart")
    if queued:
        system.instance.journal.move(run_id, NewEvent(EventKind.RUN_ENQUEUED, None, None, {}, time.time()))
    document = system.instance.document(system.instance.runs.get(run_id))

    canceled = system.cli("run", "cancel", run_id)
    late = system.worker_of(document)

    assert canceled.returncode == 0, canceled.stderr
    assert late.wait(30) == 0
    assert system.status(run_id) is RunStatus.CANCELED
    assert ran(system, run_id) == []
    second = again(system, run_id, RunStatus.SUCCESS)
    assert len(ran(system, second)) == 5, "nothing of it was done"


@EXECUTORS
@pytest.mark.parametrize("tag", ["dagster/max_runtime", "dagster/max_runtime_seconds"])
def test_a_run_that_takes_longer_than_its_tag_allows_fails_and_nothing_is_left(
    system: System, where: str, tag: str
) -> None:
    run_id = system.create(f"sleepy_{where}", {tag: "3"})
    began = time.monotonic()

    assert system.run_to_end(run_id) == 0

    assert time.monotonic() - began < 20
    assert system.status(run_id) is RunStatus.FAILURE
    assert "maximum runtime of 3 seconds" in system.last(run_id, "RUN_FAILURE").body["message"]
    assert len(ran(system, run_id)) == 1
    assert system.processes() == []


@pytest.mark.parametrize("text", ["soon", "nan", "-5"])
def test_a_time_limit_that_is_none_is_named_in_an_event(system: System, text: str) -> None:
    run_id = system.create("plain_here", {"dagster/max_runtime": text})

    assert system.run_to_end(run_id) == 0

    assert system.status(run_id) is RunStatus.SUCCESS
    said = [e.body["message"] for e in system.events(run_id) if e.kind == "ENGINE_EVENT"]
    assert f"The tag dagster/max_runtime is not a number of seconds, 0 or more: {text!r}. It has no effect." in said


@EXECUTORS
def test_a_step_that_takes_longer_than_its_tag_allows_fails_with_that_cause(system: System, where: str) -> None:
    run_id = system.create(f"too_slow_{where}")
    began = time.monotonic()

    assert system.run_to_end(run_id) == 0

    assert time.monotonic() - began < 20
    assert system.status(run_id) is RunStatus.FAILURE
    assert system.last(run_id, "STEP_FAILURE").body["cause"] == "TIMED_OUT", system.story(run_id)
    assert system.processes() == []


@EXECUTORS
def test_a_pool_that_two_runs_share_has_one_holder_is_never_idle_and_is_empty_at_the_end(
    system: System, where: str
) -> None:
    runs = [system.create(f"pooled_{where}") for _ in range(2)]

    workers = [system.worker(run_id) for run_id in runs]
    for worker in workers:
        assert worker.wait(90) == 0

    for run_id in runs:
        assert system.status(run_id) is RunStatus.SUCCESS, system.story(run_id)
        system.check(run_id)
    spans = held(system, runs)
    assert len(spans) == 16
    assert all(before[1] <= after[0] for before, after in pairwise(spans)), "two held the slot at once"
    idle = [after[0] - before[1] for before, after in pairwise(spans)]
    assert max(idle) < 3, "the slot was free, and nobody took it"
    assert system.slots_held() == 0


def test_a_slot_of_a_run_that_died_comes_back_with_it(system: System) -> None:
    dead, other = (system.create("pooled_apart") for _ in range(2))
    worker = system.worker(dead)
    system.wait_for("a holder", lambda: system.bodies(dead, "start"))
    worker.kill()
    worker.wait()
    waiting = system.worker(other)

    assert system.run_to_end(dead) == 0
    assert waiting.wait(60) == 0

    assert [system.status(r) for r in (dead, other)] == [RunStatus.SUCCESS] * 2
    assert system.slots_held() == 0


def held(system: System, runs: list[str]) -> list[tuple[float, float]]:
    """When the bodies of both runs held the slot, in order."""
    spans: dict[tuple[str, str], list[float]] = {}
    for run_id in runs:
        for body in system.bodies(run_id):
            spans.setdefault((run_id, body["step"]), []).append(body["at"])
    return sorted((times[0], times[1]) for times in spans.values())
