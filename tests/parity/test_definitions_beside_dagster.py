"""The same file of user code under a real Dagster and here: the same events of its steps, the same refusals, word by word.

The environment is named by RUNPLANE_DAGSTER_PYTHON. Without it a laptop skips, CI fails.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def dagster_python() -> str:
    python = os.environ.get("RUNPLANE_DAGSTER_PYTHON")
    if not python:
        if os.environ.get("CI"):
            pytest.fail("RUNPLANE_DAGSTER_PYTHON is not set, and CI skips nothing")
        pytest.skip("RUNPLANE_DAGSTER_PYTHON names no Python with a Dagster in it")
    return python


def _output(python: str, *args: str, cwd: Path, keep_path: bool) -> str:
    env = {k: v for k, v in os.environ.items() if k != "DAGSTER_HOME" and (keep_path or k != "PYTHONPATH")}
    done = subprocess.run([python, *args], capture_output=True, text=True, cwd=cwd, env=env, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def sides(dagster_python: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """What Dagster says and what we say."""
    file, cwd = str(HERE / "definitions_both_sides.py"), tmp_path_factory.mktemp("sides")
    theirs = _output(dagster_python, file, "dagster", cwd=cwd, keep_path=False)
    ours = _output(sys.executable, file, "runplane", cwd=cwd, keep_path=True)
    return json.loads(theirs.splitlines()[-1]), json.loads(ours.splitlines()[-1])


def test_steps_have_the_same_events_in_the_same_order(sides: tuple[Any, Any]) -> None:
    theirs, ours = sides
    assert len(theirs["jobs"]) >= 25
    for name, expected in theirs["jobs"].items():
        if name in _ANNOUNCED_BEFORE_CHECK:
            expected["events"] = [
                e for e in expected["events"] if "Type check failed" not in e[2] or e[0] != "STEP_OUTPUT"
            ]
        assert ours["jobs"][name] == expected, name


_ANNOUNCED_BEFORE_CHECK: set[str] = {"wrong_output"}
"""Dagster announces an output that is not of its type before it fails the step; here what is announced is there."""


def test_what_can_not_work_is_refused_with_the_same_words(sides: tuple[Any, Any]) -> None:
    theirs, ours = sides
    assert len(theirs["refused"]) > 12
    assert ours["refused"] == theirs["refused"]


@pytest.mark.parametrize(
    ("example", "job", "node", "run_config"),
    [
        ("process_numbers", "process_numbers", "sum_two_sums", {}),
        ("package_audit", "package_audit", "write_report", {"ops": {"list_distributions": {"config": {"limit": 2}}}}),
    ],
)
def test_an_example_runs_under_dagster_after_changing_its_import(
    dagster_python: str, tmp_path: Path, example: str, job: str, node: str, run_config: dict[str, Any]
) -> None:
    shutil.copytree(EXAMPLES / example, tmp_path / example)
    file = tmp_path / example / "definitions.py"
    file.write_text(file.read_text().replace("from runplane import", "from dagster import"))
    code = (
        f"import definitions; r = definitions.defs.get_job_def({job!r}).execute_in_process({run_config!r}); "
        f"print(r.success, r.output_for_node({node!r}))"
    )
    printed = _output(dagster_python, "-c", code, cwd=tmp_path / example, keep_path=False).split()
    assert printed[0] == "True"
    assert printed[1] == ("55" if example == "process_numbers" else str(tmp_path / example / "package-audit.html"))
