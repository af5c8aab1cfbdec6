"""The compute log stores that keep something, by their conformance suite."""

from __future__ import annotations

from pathlib import Path

import pytest

from runplane.storage.compute_logs import LocalComputeLogStore
from runplane.testing import ComputeLogsContract
from runplane.testing.compute_logs_contract import OpenStore


class TestLocalComputeLogStore(ComputeLogsContract):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenStore:
        return lambda: LocalComputeLogStore(tmp_path / "logs")
