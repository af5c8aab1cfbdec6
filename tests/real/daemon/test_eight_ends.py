"""Runs that share a pool of one slot and end in eight ways: never two hold it, nobody keeps it, and it does not lie idle."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runplane.events.kinds import EventKind
from runplane.events.status import RunStatus
from runplane.storage.pools import Pools
from scale import scaled
from services.daemon_system import DaemonSystem
from services.postgres import GivenPostgres
from services.system import postgres_yaml

ROUNDS = scaled(1, long=62)
"""Each is a run of each way."""
PATIENCE_S = scaled(240, long=7200)
IDLE_S = 30.0
"""A free slot is taken within this time while runs wait for it: a worker has to be found dead, and another one to be started, on a busy machine."""
AWAY_S = 3.0
YAML = """
run_queue: {max_concurrent_runs: 3}
run_monitoring: {enabled: true, poll_interval_seconds: 1, start_timeout_seconds: 120, cancel_timeout_seconds: 60, max_resume_run_attempts: 0}
"""
CODE = """
import pathlib, time
from runplane import in_process_executor, job, op

@op(pool="scarce")
def holds(context):
    way = context.run_tags["way"]
    say(context, "start")
    if way == "failure":
        raise ValueError("as it was told")
    go_on = pathlib.Path(context.run_id + ".go")
    end = time.monotonic() + (0.2 if way == "success" else 120)
    while time.monotonic() < end and not go_on.exists():
        time.sleep(0.02)

@job(executor_def=in_process_executor)
def one_step():
    holds()
"""
OUTCOMES = {EventKind.STEP_SUCCESS, EventKind.STEP_FAILURE, EventKind.STEP_UP_FOR_RETRY, EventKind.STEP_SEALED}
ENDS = {
    "success": RunStatus.SUCCESS,
    "failure": RunStatus.FAILURE,
    "cancel": RunStatus.CANCELED,
    "killed": RunStatus.FAILURE,
    "timeout": RunStatus.FAILURE,
    "database away": RunStatus.SUCCESS,
    "daemon away": RunStatus.SUCCESS,
    "stopped": RunStatus.FAILURE,
}
"""How a run ends to which that happens while it holds the slot. None may have another worker."""


class House:
    """The system, its daemon and its database."""

    def __init__(self, system: DaemonSystem, server: Any) -> None:
        self.system, self.server = system, server
        self.daemon = system.daemon()

    def go_on(self, run_id: str) -> None:
        (self.system.folder / f"{run_id}.go").touch()

    def cancel(self, run_id: str) -> None:
        self.system.instance.cancel(run_id)

    def kill(self, run_id: str) -> None:
        self.system.signal_worker(run_id)

    def stop(self, run_id: str) -> None:
        """Frozen until it was replaced: then it finds that out, and leaves."""
        pid = self.system.pid_of_worker(run_id)
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        self.system.wait_for_status(run_id, RunStatus.FAILURE, timeout_s=90)
        os.kill(pid, signal.SIGCONT)

    def database_away(self, run_id: str) -> None:
        self.server.stop()
        self.system.wait_for("an outage", outage(AWAY_S))
        self.server.start()
        self.go_on(run_id)

    def daemon_away(self, run_id: str) -> None:
        self.daemon.kill()
        self.daemon.wait()
        self.go_on(run_id)
        self.system.wait_for_status(run_id, RunStatus.SUCCESS, timeout_s=90)
        self.daemon = self.system.daemon()

    def nothing(self, run_id: str) -> None:
        """It ends by itself."""


def outage(seconds: float) -> Callable[[], bool]:

    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


DOES: dict[str, Callable[[House, str], None]] = {
    "success": House.nothing,
    "failure": House.nothing,
    "cancel": House.cancel,
    "killed": House.kill,
    "timeout": House.nothing,
    "database away": House.database_away,
    "daemon away": House.daemon_away,
    "stopped": House.stop,
}


@pytest.fixture
def house(tmp_path: Path, postgres_url: str, postgres_server: Any) -> Iterator[House]:
    if isinstance(postgres_server, GivenPostgres):
        pytest.skip("the server that was given is not ours to stop")
    system = DaemonSystem(tmp_path, CODE, postgres_yaml(postgres_url) + YAML)
    system.instance.wait_at_most(60)
    Pools(system.instance.database).set_limit("scarce", 1)
    yield House(system, postgres_server)
    system.close()


@pytest.mark.timeout(PATIENCE_S + 60)
def test_a_pool_of_one_survives_every_end_of_its_holders(house: House) -> None:
    system = house.system
    ways: dict[str, str] = {}
    for _ in range(ROUNDS):
        for way in ENDS:
            tags = {"way": way, **({"dagster/max_runtime": "1"} if way == "timeout" else {})}
            ways[system.submit("one_step", tags)] = way
    waiting = set(ways)

    while waiting:
        system.wait_for("the next holder", lambda: started(system, waiting), 90)
        run_id = started(system, waiting)[0]
        waiting.discard(run_id)
        DOES[ways[run_id]](house, run_id)
        system.wait_for_status(run_id, ENDS[ways[run_id]], timeout_s=90)

    assert system.slots_held() == 0
    held = sorted(span for run_id in ways for span in holdings(system, run_id))
    assert len(held) == len(ways)
    for (_, until), (since, _) in itertools.pairwise(held):
        assert until <= since, "two held the only slot"
        assert since - until < IDLE_S, "the slot lay idle while runs waited for it"


def started(system: DaemonSystem, among: set[str]) -> list[str]:
    """Of these runs, those whose step's body has begun."""
    return [body["run"] for body in system.bodies(what="start") if body["run"] in among]


def holdings(system: DaemonSystem, run_id: str) -> list[tuple[float, float]]:
    """From when until when each attempt held its slot, by the database's clock: from its issue to its outcome or seal."""
    issued: dict[int, float] = {}
    ended: dict[int, float] = {}
    for event in system.check(run_id):
        if event.n is not None and event.kind == EventKind.STEP_ISSUED:
            issued[event.n] = event.at
        elif event.n is not None and event.kind in OUTCOMES:
            ended.setdefault(event.n, event.at)
    return [(at, ended[n]) for n, at in issued.items()]
