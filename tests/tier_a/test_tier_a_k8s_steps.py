"""Tier A of steps that are Kubernetes Jobs: a cluster in memory whose pods are processes of this machine."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runplane.testing import TierAStepWorkers
from runplane.testing.crashing import CRASH_AT_ENV, STEP_CRASH_ENV
from runplane.testing.fake_cluster import FakeCluster, FakePod, ProcessPods
from runplane.testing.tier_a import Place, Runs
from runplane.testing.tier_a_step_workers import STEP_POINTS
from scale import IS_LONG


def some(count: int, seed: int) -> list[int]:
    return list(STEP_POINTS) if IS_LONG else sorted(random.Random(seed).sample(STEP_POINTS, count))


def pytest_generate_tests(metafunc: Any) -> None:
    """The numbered points."""
    if "step_point" in metafunc.fixturenames:
        metafunc.parametrize("step_point", metafunc.cls.step_points)


class CrashingPods(ProcessPods):
    """The first attempt of the step that is named in its environment dies at its point."""

    def environment_of(self, pod: FakePod) -> dict[str, str]:
        env = super().environment_of(pod)
        step, _, point = env.get(STEP_CRASH_ENV, "").rpartition(":")
        first = (pod.annotations.get("runplane/step-key"), pod.labels.get("runplane/attempt")) == (step, "1")
        return {**env, **({CRASH_AT_ENV: point} if first else {})}


@pytest.fixture
def cluster_env(tmp_path: Path) -> Iterator[dict[str, str]]:
    pods = CrashingPods()
    with FakeCluster(lambda pod: pods) as cluster:
        yield {"KUBECONFIG": str(cluster.kubeconfig(tmp_path)), STEP_CRASH_ENV: "", "RUNPLANE_PODS_ARE_LOCAL": "1"}
        pods.close()
        assert cluster.errors == []


class TestOnSqlite(TierAStepWorkers):
    job = "tier_a_k8s"
    step_points = some(1, 6)

    @pytest.mark.long
    def test_a_run_without_accident_runs_each_body_once(self, runs: Runs) -> None:
        super().test_a_run_without_accident_runs_each_body_once(runs)

    @pytest.fixture
    def place(self, tmp_path: Path, cluster_env: dict[str, str]) -> Place:
        place = Place.in_sqlite(tmp_path)
        place.env |= cluster_env
        return place


@pytest.mark.long
class TestOnPostgres(TierAStepWorkers):
    job = "tier_a_k8s"
    step_points = some(1, 7)

    @pytest.fixture
    def place(self, tmp_path: Path, postgres_url: str, cluster_env: dict[str, str]) -> Place:
        place = Place.in_postgres(tmp_path, postgres_url, "t" + uuid.uuid4().hex[:12])
        place.env |= cluster_env
        return place
