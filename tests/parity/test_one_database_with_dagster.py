"""A database that holds a real Dagster's tables: runplane works in it, its neighbour's tables stay as they are, and Dagster goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

DAGSTER_SIDE = """
import json, sys
from dagster import DagsterInstance, asset, job, materialize, op

@op
def one(context):
    context.log.info("in dagster")
    return 1

@job
def theirs():
    one()

@asset
def table():
    return 1

with DagsterInstance.get() as instance:
    before = [run.run_id for run in instance.get_runs()]
    done = theirs.execute_in_process(instance=instance)
    made = materialize([table], instance=instance)
    logs = [len(instance.all_logs(run_id)) for run_id in [*before, done.run_id]]
    print(json.dumps({"before": len(before), "ok": done.success and made.success, "logs": min(logs)}))
"""
OUR_JOB = """
from runplane import job, op

@op
def one():
    return 1

@job
def ours():
    one()
"""


class Shared:
    """One database, a home that names it, and both programs on it."""

    def __init__(self, folder: Path, url: str, dagster_python: Path) -> None:
        self.folder = folder
        self.url = url
        self._dagster_python = dagster_python
        (folder / "dagster.yaml").write_text(f"storage:\n  postgres:\n    postgres_url: {url!r}\n")
        (folder / "theirs.py").write_text(DAGSTER_SIDE)
        (folder / "ours.py").write_text(OUR_JOB)
        self._env = {**os.environ, "DAGSTER_HOME": str(folder), "DAGSTER_DISABLE_TELEMETRY": "1"}

    def dagster(self) -> dict[str, Any]:
        command = [str(self._dagster_python), "theirs.py"]
        env = {k: v for k, v in self._env.items() if k != "PYTHONPATH"}
        done = subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return dict(json.loads(done.stdout.splitlines()[-1]))

    def runplane(self, *words: str) -> str:
        command = [sys.executable, "-m", "runplane", *words]
        done = subprocess.run(command, cwd=self.folder, env=self._env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def theirs(self) -> dict[str, tuple[int, str, str]]:
        """Of each table outside of our schema: rows, a checksum of them, and of its columns."""
        found = {}
        with psycopg.connect(self.url) as connection:
            tables = connection.execute(
                "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('runplane', 'pg_catalog', 'information_schema')"
            ).fetchall()
            for schema, table in tables:
                name = sql.Identifier(schema, table)
                rows = "SELECT count(*), coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') FROM {} t"
                columns = (
                    "SELECT md5(string_agg(column_name || data_type || is_nullable, '|' ORDER BY ordinal_position))"
                    " FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"
                )
                count, checksum = connection.execute(sql.SQL(rows).format(name)).fetchone() or (0, "")
                shape = (connection.execute(columns, (schema, table)).fetchone() or ("",))[0]
                found[f"{schema}.{table}"] = (count, checksum, shape)
        return found


@pytest.fixture
def shared(tmp_path: Path, postgres_url: str, dagster_python: Path) -> Shared:
    has = [str(dagster_python), "-c", "import dagster_postgres"]
    if subprocess.run(has, capture_output=True, check=False).returncode:
        pytest.skip("that Dagster has no dagster-postgres")
    return Shared(tmp_path, postgres_url, dagster_python)


def test_dagsters_tables_stay_as_they_are_and_dagster_goes_on(shared: Shared) -> None:
    first = shared.dagster()
    before = shared.theirs()
    assert {"public.runs", "public.event_logs", "public.alembic_version"} <= set(before)
    assert before["public.event_logs"][0] > 10

    shared.runplane("job", "execute", "-f", "ours.py")
    shared.runplane("instance", "migrate")
    shared.runplane("instance", "concurrency", "set", "db", "2")
    listed = json.loads(shared.runplane("run", "list", "--json"))["runs"]
    shared.runplane("run", "wipe", "--yes")

    assert [run["job_name"] for run in listed] == ["ours"], "runs of the neighbour are not ours"
    assert shared.theirs() == before
    again = shared.dagster()
    assert (first["ok"], again["ok"]) == (True, True)
    assert again["before"] == 2, "it finds its own runs, and none of ours"
    assert again["logs"] > 5
