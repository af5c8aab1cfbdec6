"""Processes that die: of steps in every way, of templates and of coordinators at random. The run comes to its right end, and nothing is left."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable

import pytest

from runplane.events.status import RunStatus
from scale import scaled
from services.system import System

STEPS = scaled(300, long=2000)
CODE = f"""
import ctypes, os, random, resource, signal, sys, time
from runplane import DynamicOut, DynamicOutput, RetryPolicy, in_process_executor, job, multiprocess_executor, op

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

def close_the_pipe():
    os.closerange(3, 100)
    time.sleep(60)

DEATHS = {{
    "exit": lambda: os._exit(7),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "segv": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "pipe": close_the_pipe,
    "memory": lambda: (_ for _ in ()).throw(MemoryError()),
    "term": lambda: (signal.signal(signal.SIGTERM, signal.SIG_DFL), os.kill(os.getpid(), signal.SIGTERM)),
}}
WAYS = [name for name in DEATHS for _ in range(1 if name == "pipe" else 3)]

@op(out=DynamicOut())
def spread(context):
    for i in range(int(os.environ.get("WIDTH", "{STEPS}"))):
        yield DynamicOutput(i, mapping_key=str(i))

@op(retry_policy=RetryPolicy(max_retries=4))
def mortal(context, number):
    dice = random.Random(f"{{number}} {{context.attempt}}")
    way = dice.choice(WAYS) if context.attempt <= 4 and dice.random() < 0.4 else None
    say(context, "start", way=way)
    if way:
        DEATHS[way]()
    say(context, "end")
    return number

@op
def work(context, number):
    say(context, "start")
    time.sleep(float(os.environ.get("NAP", "0.02")))
    say(context, "end")
    return number

@op
def total(context, numbers):
    say(context, "start", total=sum(numbers))
    return sum(numbers)

@job(executor_def=multiprocess_executor.configured({{"max_concurrent": 4}}))
def mortals():
    total(spread().map(mortal).collect())

@job(executor_def=multiprocess_executor.configured({{"max_concurrent": 3}}))
def workers():
    total(spread().map(work).collect())

@job(executor_def=in_process_executor)
def workers_here():
    total(spread().map(work).collect())
"""


def test_steps_that_die_in_every_way_under_a_retry_policy(make_system: Callable[..., System]) -> None:
    system = make_system(CODE)
    run_id = system.create("mortals")

    assert system.run_to_end(run_id, timeout_s=scaled(200, long=1500)) == 0

    events = system.check(run_id)
    assert system.status(run_id) is RunStatus.SUCCESS, [e.body for e in events if e.kind == "STEP_FAILURE"][:3]
    assert [b["total"] for b in system.bodies(run_id, "start") if b["step"] == "total"] == [sum(range(STEPS))]
    deaths = Counter(b["way"] for b in system.bodies(run_id, "start") if b.get("way"))
    assert len(deaths) == 7, "every way was taken"
    retried = [e for e in events if e.kind == "STEP_UP_FOR_RETRY"]
    assert len(retried) == deaths.total()
    # A child that the kernel kills when memory is short looks like a kill; nothing else may be mistaken for something else.
    causes = Counter(e.body["cause"] for e in retried)
    assert causes["OUT_OF_MEMORY"] >= deaths["memory"]
    assert causes["CRASHED"] >= deaths["exit"] + deaths["segv"] + deaths["abort"] + deaths["pipe"]
    told = " ".join(str(e.body["error"]) for e in retried)
    for evidence in (
        "exit code 7",
        "SIGKILL",
        "SIGSEGV",
        "SIGABRT",
        "SIGTERM",
        "closed its connection",
        "MemoryError",
    ):
        assert evidence in told, evidence
    assert system.processes() == []


def test_a_template_that_is_killed_at_random_costs_no_step(make_system: Callable[..., System]) -> None:
    system = make_system(CODE)
    run_id = system.create("workers")
    dice = random.Random(11)
    worker = system.worker(run_id, WIDTH="150", NAP="0.05")
    killed = 0

    while worker.poll() is None and killed < 6:
        time.sleep(dice.uniform(0.1, 0.6))
        for template in system.templates():
            template.kill()
            killed += 1

    assert worker.wait(90) == 0
    events = system.check(run_id)
    assert system.status(run_id) is RunStatus.SUCCESS, system.story(run_id)[-3000:]
    assert killed >= 3
    assert sum(e.kind == "STEP_SUCCESS" for e in events) == 152
    assert not [e for e in events if e.kind == "STEP_FAILURE"]
    assert system.processes() == []


@pytest.mark.parametrize("job", ["workers", "workers_here"])
@pytest.mark.parametrize("seed", range(scaled(1, long=20)))
def test_a_coordinator_that_is_killed_again_and_again(make_system: Callable[..., System], job: str, seed: int) -> None:
    """As often as the budget allows, and once more."""
    system = make_system(CODE)
    dice = random.Random(f"{job} {seed}")
    run_id = system.create(job)
    for epoch in (1, 2, 3):
        worker = system.worker(run_id, WIDTH="40", NAP="0.1")
        system.wait_for("its claim", lambda at=epoch: system.instance.journal.head(run_id).epoch >= at)
        time.sleep(dice.uniform(0.0, 0.8))
        worker.kill()
        assert worker.wait() == -signal.SIGKILL
        system.wait_for("the end of its steps", lambda: not system.processes(), timeout_s=2)

    assert system.run_to_end(run_id, WIDTH="40", NAP="0.1") == 0

    events = system.check(run_id)
    assert system.status(run_id) is RunStatus.SUCCESS, system.story(run_id)[-3000:]
    assert sum(e.kind == "RUN_RESUMED" for e in events) == 3
    assert sum(e.kind == "STEP_SUCCESS" for e in events) == 42
    assert system.processes() == []


@pytest.mark.parametrize(
    ("yaml", "budget"), [("", 3), ("run_monitoring: {enabled: true, max_resume_run_attempts: 0}", 0)]
)
def test_a_run_is_resumed_as_often_as_its_budget_says_and_then_fails_by_name(
    make_system: Callable[..., System], yaml: str, budget: int
) -> None:
    system = make_system(CODE, yaml)
    run_id = system.create("workers")
    for _ in range(budget + 1):
        worker = system.worker(run_id, WIDTH="4", NAP="30")
        started = len(system.bodies(run_id, "start"))
        system.wait_for("a step", lambda n=started: len(system.bodies(run_id, "start")) > n)
        worker.kill()
        worker.wait()

    last = system.worker(run_id)

    assert last.wait(60) == 0
    assert system.status(run_id) is RunStatus.FAILURE
    assert system.last(run_id, "RUN_FAILURE").body["reason"] == "RUN_WORKER_RESTART"
    assert f"{budget} times" in system.stderr(last)
    assert system.kinds(run_id)["RUN_RESUMED"] == budget + 1, "the last one only ends the run"
    system.check(run_id)
    system.wait_for("the end of all", lambda: not system.processes(), timeout_s=2)


def test_the_logs_of_a_killed_worker_are_complete_when_another_one_has_taken_over(
    make_system: Callable[..., System],
) -> None:
    system = make_system(CODE)
    run_id = system.create("workers")
    worker = system.worker(run_id, WIDTH="4", NAP="600")
    system.wait_for("three steps", lambda: len(system.bodies(run_id, "start")) == 3)
    system.wait_for("their logs", lambda: len(system.instance.journal.log_keys(run_id)) >= 4)
    worker.kill()
    worker.wait()
    left = system.open_logs(run_id)

    system.worker(run_id, WIDTH="4", NAP="600")
    system.wait_for("three more steps", lambda: len(system.bodies(run_id, "start")) == 6)

    assert len(left) == 3
    assert not set(left) & set(system.open_logs(run_id))


def test_whoever_cancels_a_run_whose_worker_was_killed_says_that_its_logs_are_complete(
    make_system: Callable[..., System],
) -> None:
    system = make_system(CODE)
    run_id = system.create("workers")
    worker = system.worker(run_id, WIDTH="4", NAP="600")
    system.wait_for("three steps", lambda: len(system.bodies(run_id, "start")) == 3)
    worker.kill()
    worker.wait()

    system.instance.cancel(run_id)

    assert system.status(run_id) is RunStatus.CANCELED
    system.check(run_id)


def test_forty_children_of_a_killed_coordinator_are_gone_within_two_seconds(make_system: Callable[..., System]) -> None:
    system = make_system(CODE.replace('"max_concurrent": 3', '"max_concurrent": 40'))
    run_id = system.create("workers")
    worker = system.worker(run_id, WIDTH="40", NAP="600")
    system.wait_for("forty steps", lambda: len(system.bodies(run_id, "start")) == 40, timeout_s=60)
    seen = len(system.processes())

    worker.kill()
    worker.wait()

    assert seen > 40
    system.wait_for("the end of all", lambda: not system.processes(), timeout_s=2)
