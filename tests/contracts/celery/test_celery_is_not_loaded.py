"""A run's process, and whoever launches runs as tasks, puts messages into queues and loads no Celery for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"kubernetes", "celery", "grpc", "rich", "pydantic", "alembic", "sqlalchemy"}


def loaded_by(statement: str) -> set[str]:
    """What a fresh interpreter has loaded after a statement."""
    code = f"{statement}\nimport sys; print(' '.join(sys.modules))"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


@pytest.mark.parametrize(("module", "most"), [("executors.queue_publisher", 320), ("launchers.celery", 300)])
def test_what_puts_messages_into_queues_loads_no_celery(module: str, most: int) -> None:
    new = loaded_by(f"import runplane.{module}") - loaded_by("pass")

    assert {name.partition(".")[0] for name in new} & HEAVY == set()
    assert "kombu" in new
    assert len(new) <= most, sorted(new)
    assert {name for name in new if name.startswith("runplane.kube")} == set(), "there is no cluster here"
    assert {name for name in new if name.startswith("runplane.definitions.assets")} == set(), "there are no assets here"


def test_a_run_whose_queues_are_in_the_database_loads_no_kombu() -> None:
    loaded = loaded_by(
        "from runplane.celery_app.settings import CelerySettings\n"
        "from runplane.executors.celery import CeleryExecutor\n"
        "from runplane.executors.settings import driver_settings\n"
        "CeleryExecutor(driver_settings({}, max_concurrent=None), None, CelerySettings('database'))"
    )

    assert {"kombu", "redis", "amqp"} & loaded == set()
    assert "runplane.executors.queue_runner" in loaded


def test_who_has_no_kombu_is_told_what_is_missing() -> None:
    code = (
        "import sys; sys.modules['kombu'] = None\n"
        "from runplane.celery_app.settings import CelerySettings\n"
        "from runplane.errors import NotFoundError\n"
        "from runplane.executors.celery import CeleryExecutor\n"
        "from runplane.executors.settings import driver_settings\n"
        "try: CeleryExecutor(driver_settings({}, max_concurrent=None), None, CelerySettings('redis://localhost'))\n"
        "except NotFoundError as e: print(e)"
    )

    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout

    assert "needs the module 'kombu', which is not installed" in said
    assert "celery_executor" in said
