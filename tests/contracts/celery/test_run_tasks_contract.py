"""The launcher whose runs are tasks, by the launchers' conformance suite: a real worker takes them, with a broker and without one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runplane.launchers.contract import WorkerHandle
from runplane.testing import RunLauncherContract
from runplane.testing.run_launcher_contract import Place
from services.hidden_worker import HiddenWorker


def launcher_on(broker: str) -> dict[str, Any]:
    return {"module": "dagster_celery.launcher", "class": "CeleryRunLauncher", "config": {"broker": broker}}


class OfRunTasks(RunLauncherContract):
    unreachable = WorkerHandle("process", {"pid": 1})

    @pytest.fixture
    def broker(self) -> str:
        return "database"

    @pytest.fixture
    def place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broker: str) -> Iterator[Place]:
        home = tmp_path / "home"
        home.mkdir()
        (home / "dagster.yaml").write_text(json.dumps({"run_launcher": launcher_on(broker)}), encoding="utf-8")
        monkeypatch.setenv("DAGSTER_HOME", str(home))
        monkeypatch.setenv("RUNPLANE_LEASE_TTL", "2")
        made = Place(tmp_path, launcher_on(broker))
        worker = HiddenWorker(tmp_path, home, ["-c", "3"])
        yield made
        made.open_gate()
        made.leave()
        worker.close()


class TestWithoutBroker(OfRunTasks):
    pass


@pytest.mark.long
class TestOnRedis(OfRunTasks):
    @pytest.fixture
    def broker(self, redis_server_of_session: Any) -> str:
        return str(redis_server_of_session.url)
