"""Tier A of steps that are pods which a worker of their queue makes: a cluster in memory whose pods are processes of this machine."""

from __future__ import annotations

import random
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
from services.thread_worker import ThreadWorker


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


class TestOnSqlite(TierAStepWorkers):
    job = "tier_a_celery_k8s"
    step_points = some(1, 8)

    @pytest.mark.long
    def test_a_run_without_accident_runs_each_body_once(self, runs: Runs) -> None:
        super().test_a_run_without_accident_runs_each_body_once(runs)

    @pytest.fixture
    def place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
        monkeypatch.setenv("RUNPLANE_LEASE_TTL", "2")
        pods = CrashingPods()
        with FakeCluster(lambda _: pods) as cluster:
            made = Place.in_sqlite(tmp_path)
            kubeconfig = cluster.kubeconfig(tmp_path)
            made.env |= {"RUNPLANE_PODS_ARE_LOCAL": "1", "KUBECONFIG": str(kubeconfig), STEP_CRASH_ENV: ""}
            worker = ThreadWorker(made.instance(), kubeconfig)
            yield made
            worker.close()
            pods.close()
            assert cluster.errors == []
