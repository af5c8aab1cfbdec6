"""The schema of the next version comes while runs go on: nothing is lost, and workers of this version go on working on it."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from runplane.events.kinds import EventKind as K
from runplane.events.status import RunStatus
from services.system import System, postgres_yaml

CODE = """
import pathlib, time
from runplane import in_process_executor, job, op

@op
def begin(context):
    say(context, "start")
    return 0

@op
def writes_on(context, before):
    say(context, "start")
    n = 0
    while n < 50 or not pathlib.Path("migrated").exists():
        context.log.info(f"line {n}")
        time.sleep(0.01)
        n += 1
    return n

@op
def ends(context, before):
    say(context, "start", written=before)
    return before

@job(executor_def=in_process_executor)
def chain():
    at = begin()
    for n in range(5):
        at = writes_on.alias(f"w{n}")(at)
    ends(at)
"""
MIGRATE = """
import sys
from pathlib import Path
from runplane.storage import migrate as migrations
from runplane.storage.schema import SCHEMA_VERSION

folder, where = Path(sys.argv[1]), sys.argv[2]
text = f'''
"The next version: a column, an index, a table."
import sqlalchemy as sa
from alembic import op

revision = "9000"
down_revision = "{SCHEMA_VERSION}"
CONTRACTS_BELOW = None

def upgrade():
    op.add_column("run_head", sa.Column("next_thing", sa.Text()))
    op.add_column("event", sa.Column("next_size", sa.Integer(), server_default="0"))
    op.create_index("next_event_by_kind", "event", ["kind"])
    op.create_table("next_table", sa.Column("id", sa.Integer(), primary_key=True))
'''
(folder / "v9000_next.py").write_text(text)
migrations.VERSIONS = (*migrations.VERSIONS, folder)
place = where if where.startswith("postgres") else Path(where)
print(migrations.migrate(place))
"""


@pytest.fixture(params=["sqlite", "postgres"])
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    yaml = postgres_yaml(request.getfixturevalue("postgres_url")) if request.param == "postgres" else ""
    made = System(tmp_path, CODE, yaml)
    made.where = (  # type: ignore[attr-defined]
        request.getfixturevalue("postgres_url") if yaml else str(made.home / "runplane.db")
    )
    yield made
    made.close()


def migrate_to_the_next_version(system: System) -> str:
    folder = system.folder / "later"
    folder.mkdir()
    script = system.folder / "migrate_next.py"
    script.write_text(textwrap.dedent(MIGRATE))
    where = system.where  # type: ignore[attr-defined]
    done = subprocess.run(
        [sys.executable, str(script), str(folder), where], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_migration_while_runs_go_on_loses_nothing(system: System) -> None:
    runs = [system.create("chain") for _ in range(2)]
    workers = [system.worker(run_id) for run_id in runs]
    for run_id in runs:
        system.wait_for("a step that writes", lambda run_id=run_id: len(system.bodies(run_id, "start")) == 2)  # type: ignore[misc]

    said = migrate_to_the_next_version(system)
    (system.folder / "migrated").touch()
    codes = [worker.wait(90) for worker in workers]

    assert "9000: The next version" in said
    assert codes == [0, 0], [system.story(run_id) for run_id in runs]
    for run_id in runs:
        events = system.check(run_id)
        assert system.status(run_id) is RunStatus.SUCCESS
        assert len(system.bodies(run_id, "start")) == 7, "no step ran twice"
        for step in range(5):
            lines = [e.body["message"] for e in events if e.kind == K.LOG and e.step == f"w{step}"]
            assert len(lines) >= 50
            assert lines == [f"line {n}" for n in range(len(lines))]


def test_workers_and_verbs_of_this_version_work_on_the_next_schema(system: System) -> None:
    (system.folder / "migrated").touch()
    before = system.create("chain")
    assert system.run_to_end(before) == 0
    migrate_to_the_next_version(system)

    run_id = system.create("chain")
    code = system.run_to_end(run_id)
    listed = json.loads(system.cli("run", "list", "--json").stdout)["runs"]
    shown = system.cli("run", "show", run_id)
    migrated = system.cli("instance", "migrate")
    deleted = system.cli("run", "delete", before, "--yes")

    assert code == 0, system.story(run_id)
    assert system.status(run_id) is RunStatus.SUCCESS
    assert {run["run_id"] for run in listed} == {before, run_id}
    assert shown.returncode == 0, shown.stderr
    assert migrated.returncode == 2, "an older version leaves a newer schema alone"
    assert "Upgrade this installation" in migrated.stderr
    assert deleted.stdout == "1 run deleted.\n"
