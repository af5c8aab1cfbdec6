"""Tier A of steps that stand for themselves, as processes of this machine."""

from __future__ import annotations

import random
import uuid
from pathlib import Path
from typing import Any

import pytest

from runplane.testing import TierAStepWorkers
from runplane.testing.tier_a import Place
from runplane.testing.tier_a_step_workers import STEP_POINTS
from scale import IS_LONG


def some(count: int, seed: int) -> list[int]:
    return list(STEP_POINTS) if IS_LONG else sorted(random.Random(seed).sample(STEP_POINTS, count))


def pytest_generate_tests(metafunc: Any) -> None:
    """The numbered points."""
    if "step_point" in metafunc.fixturenames:
        metafunc.parametrize("step_point", metafunc.cls.step_points)


class TestOnSqlite(TierAStepWorkers):
    job = "tier_a_step_workers"
    step_points = some(5, 1)

    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        return Place.in_sqlite(tmp_path)


class TestOnPostgres(TierAStepWorkers):
    job = "tier_a_step_workers"
    step_points = some(2, 2)

    @pytest.fixture
    def place(self, tmp_path: Path, postgres_url: str) -> Place:
        return Place.in_postgres(tmp_path, postgres_url, "t" + uuid.uuid4().hex[:12])
