"""A database that goes away: no daemon replaces another, no run fails, none is launched twice; and runs need no daemon to go on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from runplane.daemon import local_file
from runplane.events.status import RunStatus
from scale import scaled
from services.daemons import DaemonRoom
from services.postgres import GivenPostgres

AWAY_S = scaled(8, long=60)
TTL_S = 3.0
STALE_S = scaled(5, long=30)
"""After which a probe says that a daemon hangs; 30 s in earnest."""
MONITORED = "run_monitoring: {enabled: true, poll_interval_seconds: 1}\n"
MakeRoom = Callable[..., DaemonRoom]


def fences(room: DaemonRoom) -> dict[str, int]:
    """Fence of each lease."""
    rows = room.instance.database.read(room.instance.journal.rules.named("SELECT name, fence FROM {lease}"), {})
    return {name: int(fence) for name, fence in rows}


def test_an_outage_of_several_ttls_changes_nothing(postgres_room: MakeRoom, postgres_server: Any) -> None:
    if isinstance(postgres_server, GivenPostgres):
        pytest.skip("the server that was given is not ours to stop")
    room = postgres_room(max_concurrent_runs=3, more=MONITORED, ttl_s=TTL_S)
    runs = [room.submit() for _ in range(6)]
    for _ in range(2):
        room.start()
    room.wait_for("the first launches", lambda: len(room.launches()) == 3)
    room.wait_for("the leases of queue, monitor and reaper", lambda: len(fences(room)) == 3)
    room.wait_until_live(2)
    before = fences(room)

    postgres_server.stop()
    time.sleep(AWAY_S)
    postgres_server.start()
    room.instance.wait_at_most(60)
    for run_id, _ in room.launches():
        assert room.finish(run_id)
    room.wait_for("the other launches", lambda: len(room.launches()) == 6)

    assert sorted(run_id for run_id, _ in room.launches()) == sorted(runs), "a run was launched twice"
    assert fences(room) == before, "a lease was taken over because the database was away"
    assert room.count(RunStatus.FAILURE) == 0
    room.wait_until_live(2)


def test_a_daemon_that_starts_while_the_database_is_away_waits_for_it(
    postgres_room: MakeRoom, postgres_server: Any
) -> None:
    if isinstance(postgres_server, GivenPostgres):
        pytest.skip("the server that was given is not ours to stop")
    room = postgres_room(max_concurrent_runs=3, ttl_s=TTL_S)
    run_id = room.submit()
    postgres_server.stop()
    daemon = room.start()
    room.wait_for("its file", (room.folder / "daemon-0.json").exists)
    room.wait_for("its word", lambda: "Nothing new is started until it answers" in room.logs())

    postgres_server.start()

    room.wait_for("the launch", lambda: run_id in dict(room.launches()))
    assert daemon.poll() is None


def test_a_database_that_is_silent_is_no_failure_of_a_daemons_probe(
    postgres_room: MakeRoom, postgres_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(postgres_server, GivenPostgres):
        pytest.skip("the server that was given is not ours to stop")
    room = postgres_room(max_concurrent_runs=3, more=MONITORED, ttl_s=TTL_S)
    room.start()
    file = room.folder / "daemon-0.json"
    room.wait_until_live(1)
    monkeypatch.setenv(local_file.DAEMON.variable, str(file))

    postgres_server.pause()
    since = json.loads(file.read_text())["at"]

    def is_silent_for_longer_than_the_limit() -> bool:
        found = local_file.check(STALE_S)
        assert found.is_live, found.text
        return bool(json.loads(file.read_text())["at"] - since > 1.5 * STALE_S)

    room.wait_for("the end of the silence", is_silent_for_longer_than_the_limit, 20 * STALE_S)
    postgres_server.start()

    run_id = room.submit()
    room.wait_for("a launch", lambda: run_id in dict(room.launches()))


def test_runs_that_were_launched_need_no_daemon(make_room: MakeRoom) -> None:
    room = make_room(max_concurrent_runs=2)
    first, second, waits = (room.submit() for _ in range(3))
    daemon = room.start()
    room.wait_for("two launches", lambda: len(room.launches()) == 2)
    room.kill(daemon)

    assert room.finish(first)
    assert room.finish(second)
    assert [room.status(r) for r in (first, second, waits)] == [
        RunStatus.SUCCESS,
        RunStatus.SUCCESS,
        RunStatus.QUEUED,
    ]
    room.start()
    room.wait_for("the run that waited", lambda: waits in dict(room.launches()))
