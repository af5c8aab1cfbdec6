"""A step in the run's own process whose failure is stored while it still stands on the driver's stack."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from runplane import in_process_executor, job, op
from runplane.executors import in_process
from runplane.instance.instance import Instance


@op
def fails() -> None:
    raise ValueError("no")


@job(executor_def=in_process_executor)
def alone() -> None:
    fails()


def test_the_run_ends_though_nobody_says_anything_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a step tells is stored while it runs when it has run for half a second: its outcome, and the run's end with it."""
    monkeypatch.setattr(in_process, "PUMP_EVERY_S", -1.0)
    found: list[Any] = []

    def run() -> None:
        with Instance.from_home(tmp_path) as instance:
            found.append(alone.execute_in_process(instance=instance, raise_on_error=False))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(20)

    assert found, "the run did not come to an end"
    assert not found[0].success
