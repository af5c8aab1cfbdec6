"""The file of a worker of queues, where there is no room for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from runplane.cli import celery
from runplane.instance.instance import LEASE_TTL_ENV
from runplane.workers.queue_worker import QueueWorker


def wait_for(what: str, is_there: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not is_there():
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(0.01)


def test_a_worker_goes_on_and_writes_its_file_when_it_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, folder = tmp_path / "celery.yaml", tmp_path / "folder"
    settings.write_text("execution: {config: {broker: database}}")
    folder.write_text("in its place")
    said: list[str] = []
    made: list[QueueWorker] = []
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("RUNPLANE_CELERY_WORKER_FILE", str(folder / "worker.json"))
    monkeypatch.setenv(LEASE_TTL_ENV, "0.3")  # it beats, and writes, six times meanwhile
    monkeypatch.setattr(celery, "say", said.append)
    monkeypatch.setattr(celery, "_leave_on_signals", made.append)
    worker = threading.Thread(target=CliRunner().invoke, args=(celery.start, ["-y", str(settings)]), daemon=True)

    worker.start()
    wait_for("its word", lambda: [text for text in said if "can not be written" in text])
    seen = made[0].state()["loops"]
    folder.unlink()

    wait_for("its file", (folder / "worker.json").exists)
    made[0].leave()
    worker.join(30)
    assert not worker.is_alive()
    assert not (folder / "worker.json").exists()
    assert seen["beats"] == {"state": "beats"}
    assert sum("can not be written" in text for text in said) == 1
