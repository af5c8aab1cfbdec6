"""A run's process, and whoever launches runs as tasks, puts messages into queues and loads no Celery for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

TOO_HEAVY = {"celery", "kubernetes", "grpc", "rich", "pydantic", "alembic"}


@pytest.mark.parametrize("module", ["executors.celery", "launchers.celery", "celery_app.broker"])
def test_what_puts_messages_into_queues_loads_no_celery(module: str) -> None:
    code = f"import runplane.{module}\nimport sys; print(' '.join(sys.modules))"

    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()

    assert {name.partition(".")[0] for name in loaded} & TOO_HEAVY == set()
    assert "kombu" in loaded
