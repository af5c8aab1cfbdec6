"""Tier A on every storage and executor that runs on one machine. The numbers in brackets of the protocol; RUNPLANE_LONG runs all."""

from __future__ import annotations

import os
import random
import uuid
from pathlib import Path
from typing import Any

import pytest

from runplane.testing.tier_a import CRASH_POINTS, Place, TierA

LONG = bool(os.environ.get("RUNPLANE_LONG"))
POINTS = range(1, CRASH_POINTS + 1) if LONG else sorted(random.Random(3).sample(range(1, CRASH_POINTS + 1), 25))
"""Of each of the four suites below."""
CANCELS = range(100) if LONG else range(6)


def pytest_generate_tests(metafunc: Any) -> None:
    """The numbered points and the seeds."""
    if "crash_point" in metafunc.fixturenames:
        metafunc.parametrize("crash_point", POINTS)
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
