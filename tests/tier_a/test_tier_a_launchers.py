"""Tier A of the launchers that run on one machine, and of one that was written for Dagster's contract."""

from __future__ import annotations

import random
import uuid
from pathlib import Path
from typing import Any

import pytest

from runplane.testing import TierALauncher
from runplane.testing.tier_a import Place
from runplane.testing.tier_a_launchers import SUBMIT_POINTS
from scale import IS_LONG

IN_PROCESS = {"module": "dagster.core.launcher.sync_in_memory_run_launcher", "class": "SyncInMemoryRunLauncher"}
WRITTEN_FOR_DAGSTER = {"module": "runplane.testing.tier_a_launchers", "class": "LauncherWrittenForDagster"}
INSIDE_THE_RUN = range(9, 31)
"""Points of a process that runs the run itself."""


def some(points: range, count: int) -> list[int]:
    return list(points) if IS_LONG else sorted(random.Random(5).sample(points, count))


def pytest_generate_tests(metafunc: Any) -> None:
    """The numbered points."""
    if "launch_point" in metafunc.fixturenames:
        metafunc.parametrize("launch_point", metafunc.cls.launch_points)


class TestDefaultOnSqlite(TierALauncher):
    job = "tier_a_in_process"

    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        return Place.in_sqlite(tmp_path)


class TestDefaultOnPostgres(TierALauncher):
    job = "tier_a_in_process"
    launch_points = SUBMIT_POINTS if IS_LONG else (5, 6, 7)

    @pytest.fixture
    def place(self, tmp_path: Path, postgres_url: str) -> Place:
        return Place.in_postgres(tmp_path, postgres_url, "t" + uuid.uuid4().hex[:12])


class TestInProcess(TierALauncher):
    job = "tier_a_in_process"
    launch_points = (6, *some(INSIDE_THE_RUN, 5))

    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        return Place.in_sqlite(tmp_path, IN_PROCESS)


class TestWrittenForDagster(TierALauncher):
    job = "tier_a_in_process"
    launch_points = SUBMIT_POINTS if IS_LONG else (6, 7, 8)

    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        return Place.in_sqlite(tmp_path, WRITTEN_FOR_DAGSTER)
