"""Tier A of steps and of runs that workers take from queues: without a broker, and some of it on a real Redis."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from runplane.testing import TierALauncher, TierAStepWorkers
from runplane.testing.crashing import STEP_CRASH_ENV
from runplane.testing.tier_a import Place, Runs
from runplane.testing.tier_a_job import BROKER_ENV, LOG_ENV, NAP_ENV, WIDTH_ENV
from runplane.testing.tier_a_step_workers import STEP_POINTS
from scale import IS_LONG
from services import redis_server
from services.fixtures import not_to_be_had
from services.hidden_worker import HiddenWorker
from services.redis_server import RedisServer

GIVEN = (BROKER_ENV, LOG_ENV, NAP_ENV, WIDTH_ENV, STEP_CRASH_ENV)


def some(count: int, seed: int) -> list[int]:
    return list(STEP_POINTS) if IS_LONG else sorted(random.Random(seed).sample(STEP_POINTS, count))


def pytest_generate_tests(metafunc: Any) -> None:
    """The numbered points."""
    for name in ("step_point", "launch_point"):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, getattr(metafunc.cls, f"{name}s"))


class QueuePlace(Place):
    """Where a worker takes what is put into queues, and gives it the environment of whoever put it there."""

    worker: HiddenWorker | None = None

    def others_running(self) -> list[int]:
        return [] if self.worker is None else self.worker.steps_running()

    def environment(self, **more: str) -> dict[str, str]:
        env = super().environment(**more)
        if self.worker is not None:
            self.worker.give({k: env[k] for k in GIVEN if k in env})
        return env


def launcher_on(broker: str) -> Mapping[str, Any]:
    return {"module": "dagster_celery.launcher", "class": "CeleryRunLauncher", "config": {"broker": broker}}


class OnQueues:
    """A place with a worker of four slots."""

    launches = False

    @pytest.fixture
    def broker(self) -> str:
        return "database"

    @pytest.fixture
    def made(self, tmp_path: Path, broker: str) -> QueuePlace:
        return QueuePlace.in_sqlite(tmp_path, launcher_on(broker) if self.launches else None)

    @pytest.fixture
    def place(self, tmp_path: Path, made: QueuePlace, broker: str) -> Iterator[QueuePlace]:
        made.env[BROKER_ENV] = broker
        settings = tmp_path / "celery.yaml"
        settings.write_text(json.dumps({"execution": {"config": {"broker": broker}}}), encoding="utf-8")
        made.worker = HiddenWorker(tmp_path, made.home, ["-y", str(settings), "-c", "4"])
        yield made
        made.worker.close()


class OnRedis(OnQueues):
    @pytest.fixture
    def broker(self, tmp_path: Path) -> Iterator[str]:
        if redis_server.program() is None:
            not_to_be_had("no program `redis-server`")
        server = RedisServer(tmp_path)
        yield server.url
        server.stop()


class TestStepsWithoutBroker(OnQueues, TierAStepWorkers):
    job = "tier_a_celery"
    step_points = some(2, 1)

    @pytest.mark.long
    def test_a_run_without_accident_runs_each_body_once(self, runs: Runs) -> None:
        super().test_a_run_without_accident_runs_each_body_once(runs)


class TestStepsOnRedis(OnRedis, TierAStepWorkers):
    job = "tier_a_celery"
    step_points = some(1, 2)

    @pytest.mark.long
    def test_a_cancel_leaves_nothing(self, place: Place) -> None:
        super().test_a_cancel_leaves_nothing(place)

    @pytest.mark.long
    def test_steps_outlive_their_coordinator_and_are_adopted(self, place: Place) -> None:
        super().test_steps_outlive_their_coordinator_and_are_adopted(place)

    @pytest.mark.long
    def test_a_step_worker_is_killed_at_a_numbered_point(self, runs: Runs, step_point: int) -> None:
        super().test_a_step_worker_is_killed_at_a_numbered_point(runs, step_point)


@pytest.mark.long
class TestStepsOnPostgres(OnQueues, TierAStepWorkers):
    job = "tier_a_celery"
    step_points = some(1, 3)

    @pytest.fixture
    def made(self, tmp_path: Path, postgres_url: str) -> QueuePlace:
        return QueuePlace.in_postgres(tmp_path, postgres_url, "t" + uuid.uuid4().hex[:12])


class TestRunsWithoutBroker(OnQueues, TierALauncher):
    job = "tier_a_in_process"
    launches = True
    launch_points = range(1, 13) if IS_LONG else (7,)


@pytest.mark.long
class TestRunsOnRedis(OnRedis, TierALauncher):
    job = "tier_a_in_process"
    launches = True
    launch_points = range(1, 13)
