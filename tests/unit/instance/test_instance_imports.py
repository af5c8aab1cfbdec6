"""What reading an instance costs a worker: no client, no database toolkit, no framework."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

DESCRIPTION = Path(__file__).resolve().parents[2] / "fixtures" / "description"
HEAVY = {
    "sqlalchemy",
    "alembic",
    "psycopg",
    "sqlite3",
    "pydantic",
    "rich",
    "click",
    "kubernetes",
    "celery",
    "grpc",
    "dotenv",
}
PROGRAM = """
import json, sys
from runplane.events.wire import read_step_args
from runplane.instance.ref import from_ref
from runplane.instance.storage_location import storage_location
config = from_ref(read_step_args(open(sys.argv[1]).read()).instance)
storage_location(config, {"DAGSTER_PG_PASSWORD": "x"})
config.settings({}).run_monitoring
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


@pytest.mark.parametrize("document", ["text8.json"])
def test_a_worker_reads_its_instance_without_heavy_modules(document: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(DESCRIPTION / document)], capture_output=True, text=True, check=True
    )

    assert set(json.loads(done.stdout)) & HEAVY == set()
