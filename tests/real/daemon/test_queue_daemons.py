"""Real daemons, killed and frozen: each run is launched once, never more than the limit are active, and nothing hangs."""

from __future__ import annotations

import itertools
import json
import signal
import time
from collections.abc import Callable
from typing import Any

from runplane.events.kinds import EventKind
from runplane.events.status import RunStatus
from scale import scaled
from services.daemons import DaemonRoom, Workers

RUNS = scaled(60, long=1000)
LIMIT = 10
FROZEN_S = scaled(5, long=20)
KILLED = scaled(3, long=10)
"""Daemons are killed so often at least."""
SUBMITTED_A_TURN = scaled(20, long=100)
MakeRoom = Callable[..., DaemonRoom]


def test_three_daemons_with_limit_ten_never_have_eleven(postgres_room: MakeRoom) -> None:
    room = postgres_room(max_concurrent_runs=LIMIT)
    for _ in range(RUNS):
        room.submit()

    with Workers(room) as workers:
        for _ in range(3):
            room.start()
        room.wait_for("the end of all runs", lambda: len(workers.finished) == RUNS)

    assert workers.most_active <= LIMIT
    room.assert_each_launched_once(RUNS)
    assert room.count(RunStatus.SUCCESS) == RUNS


def test_with_daemons_killed_and_frozen_each_run_is_launched_once(postgres_room: MakeRoom) -> None:
    """One of three is killed every two seconds and replaced, another one is frozen meanwhile; runs come in all the time."""
    room = postgres_room(max_concurrent_runs=LIMIT)
    frozen, victim, other = room.start(), room.start(), room.start()
    room.wait_until_live(3)
    submitted = 0

    with Workers(room) as workers:
        frozen.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        is_frozen = True
        for turn in itertools.count(1):
            for _ in range(min(SUBMITTED_A_TURN, RUNS - submitted)):
                room.submit()
                submitted += 1
            room.kill(victim)
            victim, other = other, room.start()
            if is_frozen and time.monotonic() - began > FROZEN_S:
                frozen.send_signal(signal.SIGCONT)
                is_frozen = False
            if not is_frozen and submitted == RUNS and turn >= KILLED:
                break
            time.sleep(2.0)
        room.wait_for("the end of all runs", lambda: len(workers.finished) >= RUNS, 600)

    assert workers.most_active <= LIMIT
    room.assert_each_launched_once(RUNS)


def test_another_daemon_takes_over_from_a_frozen_one_within_ten_seconds(postgres_room: MakeRoom) -> None:
    room = postgres_room(max_concurrent_runs=LIMIT, ttl_s=6.0)
    first = room.start()
    run_id = room.submit()
    room.wait_for("the first launch", lambda: room.launches())
    room.start()
    room.wait_until_live(2)
    first.send_signal(signal.SIGSTOP)
    began = time.monotonic()

    run_id = room.submit()
    room.wait_for("a launch by the other one", lambda: run_id in dict(room.launches()), timeout_s=30)

    assert time.monotonic() - began < 10


def test_a_run_whose_daemon_was_killed_while_it_launched_is_launched_by_another(postgres_room: MakeRoom) -> None:
    """SIGKILL between the transaction that took the run and the one that says where its worker is."""
    room = postgres_room(max_concurrent_runs=LIMIT)
    first = room.start()
    run_id = room.submit(STUB_HANGS="yes")
    room.wait_for("the launch", lambda: room.launches())

    room.kill(first)
    room.start()
    room.wait_for("the second launch", lambda: len(room.launches()) == 2)

    assert {one for one, _ in room.launches()} == {run_id}
    assert room.finish(run_id), "the worker that was started in the end may claim the run"
    assert [e.kind for e in room.instance.tail(run_id)].count(EventKind.RUN_STARTING) == 1


def test_a_launch_that_hangs_costs_one_place_and_one_that_raises_fails_its_run(make_room: MakeRoom) -> None:
    room = make_room(max_concurrent_runs=LIMIT, dequeue_use_threads="true", dequeue_num_workers=2)
    hangs, raises = room.submit(STUB_HANGS="yes"), room.submit(STUB_RAISES="yes")
    others = [room.submit() for _ in range(4)]

    room.start()
    room.wait_for("the other launches", lambda: set(others) <= {one for one, _ in room.launches()})
    room.wait_for("the failure", lambda: room.status(raises) is RunStatus.FAILURE)

    assert room.status(hangs) is RunStatus.STARTING
    failure = next(e for e in room.instance.tail(raises) if e.kind == EventKind.RUN_FAILURE)
    assert failure.body["message"] == "The run could not be launched: no such cluster"


def test_a_queued_run_that_is_canceled_is_never_launched(make_room: MakeRoom) -> None:
    room = make_room(max_concurrent_runs=0)
    run_id = room.submit()
    room.start()
    room.wait_until_live(1)

    said = room.cli("run", "cancel", run_id).stdout

    assert said == "Accepted: the request is stored.\nThe run is CANCELED.\n"
    assert room.launches() == []


def test_a_daemon_that_is_told_to_end_lets_go_at_once_and_ends_with_0(make_room: MakeRoom) -> None:
    room = make_room(max_concurrent_runs=LIMIT, ttl_s=60.0)
    first = room.start()
    room.submit()
    room.wait_for("the first launch", lambda: room.launches())

    first.terminate()

    assert first.wait(30) == 0
    assert json.loads(room.cli("daemon", "status", "--json").stdout)["daemons"] == []
    run_id = room.submit()
    room.start()
    room.wait_for("a launch by the next daemon", lambda: run_id in dict(room.launches()), timeout_s=20)


def test_liveness_is_read_from_a_file_and_a_database_that_is_away_is_no_failure(make_room: MakeRoom) -> None:
    room = make_room(max_concurrent_runs=LIMIT)
    file = str(room.folder / "daemon-0.json")
    assert room.cli("daemon", "liveness-check", RUNPLANE_DAEMON_FILE=file).returncode == 1
    daemon = room.start()
    room.wait_for("the file", (room.folder / "daemon-0.json").exists)

    live = room.cli("daemon", "liveness-check", RUNPLANE_DAEMON_FILE=file, DAGSTER_HOME="/nowhere")

    assert (live.returncode, live.stdout.split(":")[0]) == (0, "Daemon live")
    room.kill(daemon)
    dead = room.cli("daemon", "liveness-check", RUNPLANE_DAEMON_FILE=file)
    assert (dead.returncode, dead.stdout.split(":")[0]) == (1, "Daemon(s) not running")


def test_the_reaper_runs_alone_when_it_is_asked_for(make_room: MakeRoom) -> None:
    room = make_room(max_concurrent_runs=LIMIT)
    room.kill(room.start())
    room.start("--only", "reaper")
    room.wait_until_live(1)

    room.wait_for("the removal of the killed one", lambda: len(daemons_of(room)) == 1)

    (daemon,) = daemons_of(room)
    assert list(daemon["loops"]) == ["reaper"]


def daemons_of(room: DaemonRoom) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(room.cli("daemon", "status", "--json").stdout)["daemons"]
    return found
