"""Tier A on every storage and executor that runs on one machine. The numbers in brackets of the protocol; RUNPLANE_LONG runs all."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from runplane.testing import TierA
from runplane.testing.tier_a import CRASH_POINTS, Place, crash_points
from scale import IS_LONG, scaled

SEQUENCES = scaled(4, long=10)
"""Of each of the four suites below, with ``DEATHS`` points each. In the long lane each single point comes besides."""
CANCELS = range(scaled(25, long=100))


def pytest_generate_tests(metafunc: Any) -> None:
    """The numbered points and the seeds."""
    if "crash_points" in metafunc.fixturenames:
        drawn = [crash_points(f"{metafunc.cls.__name__} {i}") for i in range(SEQUENCES)]
        single = [(point,) for point in range(1, CRASH_POINTS + 1)] if IS_LONG else []
        metafunc.parametrize("crash_points", [*single, *drawn], ids=lambda points: "-".join(map(str, points)))
    if "cancel_seed" in metafunc.fixturenames:
        metafunc.parametrize("cancel_seed", CANCELS)


class OnSqlite:
    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        return Place.in_sqlite(tmp_path)


class OnPostgres:
    @pytest.fixture
    def place(self, tmp_path: Path, postgres_url: str) -> Place:
        return Place.in_postgres(tmp_path, postgres_url, "t" + uuid.uuid4().hex[:12])


class TestSqliteInProcess(OnSqlite, TierA):
    job = "tier_a_in_process"


class TestSqliteMultiprocess(OnSqlite, TierA):
    job = "tier_a_multiprocess"


class TestPostgresInProcess(OnPostgres, TierA):
    job = "tier_a_in_process"


class TestPostgresMultiprocess(OnPostgres, TierA):
    job = "tier_a_multiprocess"
