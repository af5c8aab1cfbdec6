"""Steps in queues of a real Redis, run by real workers: bounds, deaths, a broker that forgets, lies or goes away."""

from __future__ import annotations

import base64
import json
import pickle
import random
import signal
import subprocess
import time
import zlib
from collections import Counter
from collections.abc import Callable
from functools import partial

import psutil
import pytest

from runplane.events.kinds import EventKind as K
from runplane.events.status import RunStatus
from scale import scaled
from services.broker_outages import resumed_after
from services.queue_workers import QueueSystem
from services.redis_server import RedisServer
from services.system import postgres_yaml

END_S = 120.0
OUTAGES, MOST_S = scaled(5, long=20), scaled(3, long=30)
TAKES_AGAIN_WITHIN_S = scaled(60, long=15)
"""15 s is what is wanted; beside other suites a process may take long to start."""
LEAVES_WITHIN_S = 25.0
"""The grace period of a worker's steps when nobody names another."""
FOUR = {f"work_{i}": 1 for i in range(4)}
MakeQueues = Callable[..., QueueSystem]


def test_queues_bound_what_runs_at_once(queues: QueueSystem) -> None:
    queues.queue_worker("-q", "narrow", "-c", "1")
    queues.queue_worker("-q", "wide", "-c", "1")
    queues.queue_worker("-q", "wide", "-c", "2")
    run_id = queues.create("two_queues")

    assert queues.run_to_end(run_id, END_S) == 0

    assert queues.status(run_id) is RunStatus.SUCCESS, queues.story(run_id)
    queues.check(run_id)
    assert queues.most_at_once(run_id, "narrow") == 1
    assert queues.most_at_once(run_id, "wide") <= 3
    assert set(queues.completed(run_id).values()) == {1}
    queues.wait_for("the last process to be told of", lambda: queues.queued() == 0)


def test_a_killed_workers_steps_end_with_it_and_run_again_elsewhere(
    make_queues: MakeQueues, redis_broker: RedisServer
) -> None:
    queues = make_queues(redis_broker.url, nap_s=4.0)
    doomed = queues.queue_worker("-q", "work", "-c", "2")
    run_id = queues.create("four")
    coordinator = queues.worker(run_id)
    queues.wait_for("two bodies", lambda: len(queues.bodies(run_id, "start")) == 2, 60)

    doomed.kill()
    doomed.wait()
    queues.queue_worker("-q", "work", "-c", "4")

    assert coordinator.wait(END_S) == 0
    assert queues.status(run_id) is RunStatus.SUCCESS, queues.story(run_id)
    queues.check(run_id)
    assert queues.completed(run_id) == FOUR
    assert queues.kinds(run_id)[K.STEP_SEALED] == 2


def test_a_broker_that_forgets_everything_costs_no_step(make_queues: MakeQueues, redis_broker: RedisServer) -> None:
    queues = make_queues(redis_broker.url)
    run_id = queues.create("four")
    coordinator = queues.worker(run_id)
    queues.wait_for("the hints", lambda: redis_broker.client().llen(_list("work", 5)) == 4, 60)

    redis_broker.client().flushall()
    queues.queue_worker("-q", "work", "-c", "2")

    assert coordinator.wait(END_S) == 0
    assert queues.status(run_id) is RunStatus.SUCCESS, queues.story(run_id)
    assert queues.completed(run_id) == FOUR


def test_hints_that_nobody_takes_are_not_heaped_up(make_queues: MakeQueues, redis_broker: RedisServer) -> None:
    queues = make_queues(redis_broker.url)
    run_id = queues.create("four")
    coordinator = queues.worker(run_id)
    broker, seen = redis_broker.client(), [0]

    def was_said() -> bool:
        seen.append(int(broker.llen(_list("work", 5))))
        return _said(queues, run_id, "No worker listens to queue work")

    queues.wait_for("that no worker listens was said", was_said, 60)

    assert max(seen) <= 2 * len(FOUR), "at no moment more than twice the open attempts"
    assert seen[-1] == len(FOUR), "each is there once, after several looks"
    shown = queues.cli("run", "show", run_id).stdout
    assert "queue work: 4 (work_0, work_1, work_2, work_3) waiting. No worker listens to queue work" in shown
    [told] = json.loads(queues.cli("run", "show", run_id, "--json").stdout)["step_queues"]
    assert told == {"queue": "work", "waiting": sorted(FOUR), "running": [], "has_workers": False, "worker_levels": []}
    queues.queue_worker("-q", "work", "-c", "4")
    assert coordinator.wait(END_S) == 0
    assert queues.completed(run_id) == FOUR
    assert "queue work" not in queues.cli("run", "show", run_id).stdout


def test_a_workers_status_tells_what_it_runs_and_what_waits_where(make_queues: MakeQueues) -> None:
    queues = make_queues("database")
    worker = queues.queue_worker("-q", "work", "-c", "2")
    for job in ("four_held", "two_queues"):
        queues.worker(queues.create(job))

    def waiting() -> dict[str, int]:
        return {one["name"]: one["waiting"] for one in queues.state(worker)["step_queues"]}

    queues.wait_for("what waits", lambda: waiting() == {"narrow": 5, "wide": 6, "work": 2}, 60)
    told = json.loads(queues.probe(worker, "--json").stdout)

    [me] = told["workers"]
    assert told["is_live"] is True
    assert (me["queues"], me["slots"], me["used"]) == (["work"], 2, 2)
    figures = {one["name"]: (one["running"], one["slots"], one["workers"]) for one in me["step_queues"]}
    assert figures == {"narrow": (0, 0, 0), "wide": (0, 0, 0), "work": (2, 2, 1)}
    assert all(0 < one["oldest_s"] < 120 for one in me["step_queues"])


def test_a_broker_that_goes_away_again_and_again(make_queues: MakeQueues, redis_broker: RedisServer) -> None:
    queues = make_queues(redis_broker.url, width=OUTAGES + 1)
    worker = queues.queue_worker("-q", "work", "-c", "1")
    run_id = queues.create("turns")
    coordinator = queues.worker(run_id)
    probes: list[int] = []

    def stop_until_it_is_said() -> None:
        redis_broker.stop()
        queues.wait_for("the coordinator's word", lambda: _said(queues, run_id, "the broker does not answer"), 60)
        probes.append(queues.probe(worker).returncode)

    def stop(seconds: float) -> None:
        redis_broker.stop()
        time.sleep(seconds)

    def freeze(seconds: float) -> None:
        redis_broker.freeze()
        time.sleep(seconds)

    lengths = [random.Random(7).uniform(1, MOST_S) for _ in range(OUTAGES)]
    others = [partial(freeze if turn % 4 == 0 else stop, seconds) for turn, seconds in enumerate(lengths[1:])]

    resumed = resumed_after(queues, run_id, [stop_until_it_is_said, *others], redis_broker.start)

    assert coordinator.wait(END_S) == 0
    assert probes == [0], "a worker that tries again is not to be restarted"
    assert _said(queues, run_id, "answers again")
    assert max(resumed) < TAKES_AGAIN_WITHIN_S, resumed


def check_that_it_ends_canceled(queues: QueueSystem, run_id: str, coordinator: subprocess.Popen[bytes]) -> None:
    """A run of which one step ran, and did not come to its end."""
    assert coordinator.wait(END_S) == 0
    assert queues.status(run_id) is RunStatus.CANCELED, queues.story(run_id)
    [body] = queues.bodies(run_id, "start")
    assert queues.completed(run_id) == {}
    queues.wait_for("the end of the step", lambda: body["pid"] not in [p.pid for p in queues.processes()])


def test_a_cancel_takes_back_what_waits_and_ends_what_runs(make_queues: MakeQueues, redis_broker: RedisServer) -> None:
    queues = make_queues(redis_broker.url, nap_s=60.0)
    queues.queue_worker("-q", "work", "-c", "1")
    run_id = queues.create("four")
    coordinator = queues.worker(run_id)
    queues.wait_for("the first body", lambda: queues.bodies(run_id, "start"), 60)

    queues.instance.cancel(run_id)

    check_that_it_ends_canceled(queues, run_id, coordinator)
    queues.wait_for("the end of all rows", lambda: queues.queued() == 0)


def test_a_cancel_while_the_broker_is_away_ends_the_run(make_queues: MakeQueues, redis_broker: RedisServer) -> None:
    queues = make_queues(redis_broker.url, nap_s=60.0)
    queues.queue_worker("-q", "work", "-c", "1")
    run_id = queues.create("four")
    coordinator = queues.worker(run_id)
    queues.wait_for("the first body", lambda: queues.bodies(run_id, "start"), 60)
    redis_broker.stop()
    queues.wait_for("the coordinator's word", lambda: _said(queues, run_id, "the broker does not answer"), 60)

    queues.instance.cancel(run_id)

    check_that_it_ends_canceled(queues, run_id, coordinator)


def test_a_rolling_update_of_all_workers_repeats_no_step(make_queues: MakeQueues, redis_broker: RedisServer) -> None:
    slots, count = 5, scaled(2, long=4)
    width = 2 * count * slots
    queues = make_queues(redis_broker.url, width=width)
    old = [queues.queue_worker("-q", "work", "-c", str(slots)) for _ in range(count)]
    run_id = queues.create("turns")
    coordinator = queues.worker(run_id)

    for turn, leaving in enumerate(old):
        begun = (count + turn) * slots
        queues.wait_for("all slots to be used", lambda wanted=begun: len(queues.bodies(run_id, "start")) == wanted, 60)
        leaving.send_signal(signal.SIGTERM)
        queues.wait_for("its word", lambda one=leaving: f"{slots} steps and runs have 25 s" in queues.stderr(one))
        for step in _steps_in(queues, run_id, leaving):
            queues.open_gate(step)
        assert leaving.wait(LEAVES_WITHIN_S) == 0
        queues.queue_worker("-q", "work", "-c", str(slots))
    for number in range(width):
        queues.open_gate(f"work_{number}")

    assert coordinator.wait(END_S) == 0
    assert queues.status(run_id) is RunStatus.SUCCESS, queues.story(run_id)
    queues.check(run_id)
    told = Counter((e.kind, e.step, e.n) for e in queues.events(run_id) if e.kind in (K.STEP_START, K.STEP_SUCCESS))
    assert told == {(kind, f"work_{i}", 1): 1 for kind in (K.STEP_START, K.STEP_SUCCESS) for i in range(width)}
    assert set(queues.completed(run_id).values()) == {1}
    assert queues.kinds(run_id)[K.STEP_SEALED] == 0


def test_the_coordinator_is_killed_and_its_steps_are_adopted(
    make_queues: MakeQueues, redis_broker: RedisServer
) -> None:
    queues = make_queues(redis_broker.url, nap_s=3.0)
    queues.queue_worker("-q", "work", "-c", "2")
    run_id = queues.create("four")
    killed = queues.worker(run_id)
    queues.wait_for("two bodies", lambda: len(queues.bodies(run_id, "start")) == 2, 60)

    killed.kill()
    killed.wait()

    assert queues.run_to_end(run_id, END_S) == 0
    assert queues.status(run_id) is RunStatus.SUCCESS, queues.story(run_id)
    queues.check(run_id)
    assert queues.completed(run_id) == FOUR
    assert queues.kinds(run_id)[K.STEP_SEALED] == 0, "a step that lived was given up"


def test_what_is_no_hint_is_refused_and_what_is_somebody_elses_is_left(
    make_queues: MakeQueues, redis_broker: RedisServer
) -> None:
    queues = make_queues(redis_broker.url)
    instance = queues.instance.instance_id
    client = redis_broker.client()
    hint = {
        "kind": "step",
        "version": 1,
        "instance": instance,
        "run": "no such run",
        "step": "a",
        "attempt": 1,
        "queue": "work",
    }
    for message in (
        _message(hint),
        _message(hint, body=pickle.dumps([[], hint, {}]), content_type="application/x-python-serialize"),
        _message(hint, headers={"compression": "application/x-gzip"}),
        _message(hint, body=zlib.compress(b"x" * 1_000_000), headers={"compression": "zlib"}),
        _message({**hint, "step": "a" * 20_000}),
        _message({**hint, "queue": "other"}),
        _message({**hint, "attempt": "1"}),
        _message(hint, embed={"callbacks": [{"task": "runplane.step"}]}),
        _message(hint, headers={"eta": "2099-01-01T00:00:00"}),
        b"no envelope",
    ):
        client.lpush("work", message)
    client.lpush("other", _message(hint, headers={"task": "execute_plan"}, queue="other"))

    worker = queues.queue_worker("-q", "work", "-q", "other", "-c", "2")

    queues.wait_for("the last message", lambda: sum(queues.state(worker)["refused"].values()) == 10, 60)
    state = queues.state(worker)
    assert Counter(state["refused"]) == {
        "content_type": 1, "compressed": 2, "too_big": 1, "malformed": 3, "has_more": 2, "foreign": 1,
    }  # fmt: skip
    assert state["answers"] == {"unknown": 1}
    assert client.llen("work") == 0
    queues.wait_for("the other's message to be back", lambda: client.llen("other") == 1)
    assert queues.bodies() == []


def test_a_stale_hint_runs_nothing_twice(make_queues: MakeQueues, redis_broker: RedisServer) -> None:
    queues = make_queues(redis_broker.url, nap_s=2.0)
    worker = queues.queue_worker("-q", "work", "-c", "4")
    run_id = queues.create("four")
    coordinator = queues.worker(run_id)
    queues.wait_for("four bodies", lambda: len(queues.bodies(run_id, "start")) == 4, 60)
    instance = queues.instance.instance_id

    def send_all() -> None:
        for step in FOUR:
            hint = {
                "kind": "step",
                "version": 1,
                "instance": instance,
                "run": run_id,
                "step": step,
                "attempt": 1,
                "queue": "work",
            }
            redis_broker.client().lpush("work", _message(hint))

    send_all()
    assert coordinator.wait(END_S) == 0
    send_all()

    queues.wait_for("eight answers", lambda: sum(queues.state(worker)["answers"].values()) == 4 + 8, 60)
    assert queues.completed(run_id) == FOUR
    assert len(queues.bodies(run_id, "start")) == 4


def test_the_highest_priority_comes_first(make_queues: MakeQueues, redis_broker: RedisServer) -> None:
    queues = make_queues(redis_broker.url)
    run_id = queues.create("by_priority")
    coordinator = queues.worker(run_id)
    lists = [_list("work", priority) for priority in (1, 9, 5, 3)]
    queues.wait_for("the hints", lambda: [redis_broker.client().llen(name) for name in lists] == [1] * 4, 60)

    queues.queue_worker("-q", "work", "-c", "1")

    assert coordinator.wait(END_S) == 0
    assert [b["step"] for b in queues.bodies(run_id, "start")] == ["p9", "p5", "p3", "p1"]


@pytest.mark.parametrize("storage", ["sqlite", "postgres"])
def test_the_same_queues_without_a_broker(make_queues: MakeQueues, postgres_url: str, storage: str) -> None:
    queues = make_queues("database", yaml=postgres_yaml(postgres_url) if storage == "postgres" else "")
    queues.queue_worker("-q", "narrow", "-q", "wide", "-c", "3")
    run_id = queues.create("two_queues")

    assert queues.run_to_end(run_id, END_S) == 0

    assert queues.status(run_id) is RunStatus.SUCCESS, queues.story(run_id)
    assert queues.most_at_once(run_id, "") <= 3
    assert set(queues.completed(run_id).values()) == {1}


def _steps_in(queues: QueueSystem, run_id: str, worker: subprocess.Popen[bytes]) -> list[str]:
    """The steps that run in processes of this worker."""
    pids = {process.pid for process in psutil.Process(worker.pid).children(recursive=True)}
    return [body["step"] for body in queues.bodies(run_id, "start") if body["pid"] in pids]


def _list(queue: str, priority: int) -> str:
    """Where kombu keeps messages of this priority: 9 in the first list."""
    number = 9 - priority
    return f"{queue}\x06\x16{number}" if number else queue


def _said(queues: QueueSystem, run_id: str, text: str) -> bool:
    return any(text in str(e.body.get("message")) for e in queues.events(run_id))


def _message(
    hint: dict[str, object],
    *,
    body: bytes | None = None,
    content_type: str = "application/json",
    headers: dict[str, str] | None = None,
    embed: dict[str, object] | None = None,
    queue: str = "work",
) -> bytes:
    """An envelope as kombu puts it into a list of Redis."""
    text = json.dumps([[], hint, embed or {}]).encode() if body is None else body
    envelope = {
        "body": base64.b64encode(text).decode(),
        "content-encoding": "utf-8",
        "content-type": content_type,
        "headers": {"task": "runplane.step", "id": "x", **(headers or {})},
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": "t",
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": 0,
        },
    }
    return json.dumps(envelope).encode()
