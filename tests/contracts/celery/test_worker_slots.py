"""How many slots a worker of queues has when nobody says it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from runplane.cli import celery
from runplane.executors import concurrency
from runplane.executors.cgroup import Cgroups
from runplane.workers.queue_worker import QueueWorker


def test_slots_are_the_cpus_of_the_workers_control_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {"proc/self/cgroup": "0::/pod\n", "tree/pod/cpu.max": "350000 100000\n"}.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    settings = tmp_path / "celery.yaml"
    settings.write_text("execution: {config: {broker: database}}")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("RUNPLANE_CELERY_WORKER_FILE", str(tmp_path / "worker.json"))
    monkeypatch.setattr(concurrency, "Cgroups", lambda: Cgroups(tmp_path / "tree", tmp_path / "proc"))
    monkeypatch.setattr(concurrency, "_affinity", lambda: 64)
    monkeypatch.setattr(celery, "_leave_on_signals", lambda _: None)
    monkeypatch.setattr(QueueWorker, "run", lambda _: None)

    by_itself = CliRunner().invoke(celery.start, ["-y", str(settings)])
    as_told = CliRunner().invoke(celery.start, ["-y", str(settings), "-c", "7"])

    assert ": 4 slots, queues dagster" in by_itself.output, by_itself.output
    assert ": 7 slots, queues dagster" in as_told.output, as_told.output
