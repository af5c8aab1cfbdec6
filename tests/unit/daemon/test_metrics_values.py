"""Numbers of metrics that need no daemon: what they are when the database is away, and how late a loop is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon_houses import DaemonHouse, FakeClock, plan_with_pools
from runplane.coordinators.limits import QueueLimits
from runplane.daemon.contract import LoopReport
from runplane.daemon.figures_loop import OLD_S, FiguresLoop
from runplane.daemon.metrics import Metrics
from runplane.daemon.queue_loop import QueueLoop
from runplane.daemon.service import Service
from runplane.events.status import RunStatus
from runplane.storage.liveness import this_process
from runplane.storage.step_queues import StepQueues, run_process


@pytest.fixture
def house() -> Iterator[DaemonHouse]:
    house = DaemonHouse()
    yield house
    house.instance.close()


def test_runs_in_the_queue_are_counted_for_each_pool_that_they_wait_for(house: DaemonHouse) -> None:
    house.submit()
    house.submit(plan_with_pools("db"))
    house.submit(plan_with_pools("db", "gpu"))
    figures = FiguresLoop()

    house.run_once(figures)

    assert figures.newest is not None
    assert dict(figures.newest.waiting) == {"": 1, "db": 2, "gpu": 1}
    assert all(0 <= age < 60 for age in figures.newest.oldest_s.values())
    assert figures.newest.runs[RunStatus.QUEUED] == 3


def test_figures_that_are_too_old_are_not_told(house: DaemonHouse, tmp_path: Path) -> None:
    clock = FakeClock()
    figures = FiguresLoop(clock=clock)
    metrics = Metrics(figures)
    service = Service(house.instance, [], ttl_s=5, file=tmp_path / "file", say=lambda _: None)
    metrics.show(service)
    house.run_once(figures)
    assert metrics.registry.get_sample_value("runplane_database_up") == 1
    assert metrics.registry.get_sample_value("runplane_runs", {"status": "QUEUED"}) == 0

    clock.now += OLD_S

    assert metrics.registry.get_sample_value("runplane_database_up") == 0
    assert metrics.registry.get_sample_value("runplane_runs", {"status": "QUEUED"}) is None


def test_waits_of_the_queue_and_of_launches_are_kept_apart() -> None:
    metrics = Metrics(FiguresLoop())

    metrics.passed("queue", 0.1, LoopReport(2, latencies_s=(3.0, 4.0)))
    metrics.passed("launch", 0.1, LoopReport(1, latencies_s=(0.5,)))
    metrics.passed("retries", 0.1, LoopReport(1))

    value = metrics.registry.get_sample_value
    assert value("runplane_dequeue_latency_seconds_sum") == 7.0
    assert value("runplane_launch_latency_seconds_sum") == 0.5
    assert value("runplane_loop_duration_seconds_count", {"loop": "retries"}) == 1


def test_a_run_that_was_taken_says_how_long_it_had_waited(house: DaemonHouse) -> None:
    house.submit()

    report = house.run_once(QueueLoop(QueueLimits(5), interval_s=5, ttl_s=8))

    (waited_s,) = report.latencies_s
    assert 0 <= waited_s < 60


def test_queues_of_steps_are_counted_and_one_that_nobody_listens_to_has_no_workers(house: DaemonHouse) -> None:
    queues = StepQueues(house.instance.database, ttl_s=house.instance.lease_ttl_s)
    queues.put("a run", run_process(1), "nobody's", 5, {})
    queues.beat(this_process("w"), ["gpu"], 3, {})
    figures = FiguresLoop()
    metrics = Metrics(figures)
    metrics.show(Service(house.instance, [], ttl_s=5, file=house.instance.home / "file", say=lambda _: None))

    house.run_once(figures)

    def value(name: str, queue: str) -> float | None:
        return metrics.registry.get_sample_value(f"runplane_step_queue_{name}", {"queue": queue})

    assert [value(name, "nobody's") for name in ("waiting", "slots", "workers", "slots_used")] == [1, 0, 0, 0]
    assert [value(name, "gpu") for name in ("waiting", "slots", "workers")] == [0, 3, 1]
    assert 0 <= (value("oldest_seconds", "nobody's") or 0) < 60
