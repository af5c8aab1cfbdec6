"""The run launchers that we ship, by their conformance suite."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from runplane.instance import wire
from runplane.launchers.contract import WorkerHandle
from runplane.testing import RunLauncherContract
from runplane.testing.run_launcher_contract import Place
from runplane.workers.run import execute_run


class TestDefaultRunLauncher(RunLauncherContract):
    run_launcher = {"module": "dagster.core.launcher", "class": "DefaultRunLauncher"}
    unreachable = WorkerHandle(
        "process", {"host": "elsewhere", "boot_id": "another", "pid": 1, "pid_started": 1, "log": "/dev/null"}
    )

    def test_to_let_go_of_a_living_worker_is_no_mistake_to_warn_of(self, place: Place) -> None:
        place.started(place.launch())

        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            place.instance.launcher._children.clear()  # as when a launcher is let go of
            gc.collect()

        assert [str(warning.message) for warning in seen if "is still running" in str(warning.message)] == []


class TestInProcessRunLauncher(RunLauncherContract):
    run_launcher = {"module": "dagster.core.launcher.sync_in_memory_run_launcher", "class": "SyncInMemoryRunLauncher"}
    runs_inside_launch = True

    @pytest.fixture
    def place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
        (tmp_path / "home").mkdir()
        made = Place(tmp_path, self.run_launcher)
        made.open_gate()

        def run_here(run_id: str) -> None:
            execute_run(made.instance, run_id)

        monkeypatch.setattr(wire, "_run_here", [run_here])
        yield made
        made.instance.close()
