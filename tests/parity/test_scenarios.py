"""Each file of ``scenarios/`` under a real Dagster and here: the same results, step keys, outcomes and events of each step.

What differs is in ``scenario_differences.py`` with its reason; a difference that is listed and not there fails too. Many scenarios of
one side run in one process (``scenario_runner.py``): importing Dagster costs seconds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scenario_differences import DIFFERENCES

HERE = Path(__file__).parent
SCENARIOS = sorted(p.stem for p in (HERE / "scenarios").glob("*.py"))
ABSENT = "absent"

Side = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> tuple[Side, Side]:
    """What Dagster comes to and what we come to, by scenario."""
    python = os.environ.get("RUNPLANE_DAGSTER_PYTHON")
    if not python:
        if os.environ.get("CI"):
            pytest.fail("RUNPLANE_DAGSTER_PYTHON is not set, and CI skips nothing")
        pytest.skip("RUNPLANE_DAGSTER_PYTHON names no Python with a Dagster in it")
    # A run costs Dagster ten times as much as us: its scenarios are shared by two processes.
    halves = [_start(python, "dagster", SCENARIOS[i::2], tmp_path_factory) for i in range(2)]
    ours = _start(sys.executable, "runplane", SCENARIOS, tmp_path_factory)
    return {name: found for half in halves for name, found in _end(half).items()}, _end(ours)


def _start(python: str, library: str, scenarios: list[str], folders: pytest.TempPathFactory) -> subprocess.Popen[str]:
    env = {k: v for k, v in os.environ.items() if k != "DAGSTER_HOME" and (library == "runplane" or k != "PYTHONPATH")}
    env["TMPDIR"] = str(folders.mktemp(library))
    command = [python, str(HERE / "scenario_runner.py"), library, *scenarios]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env, cwd=env["TMPDIR"]
    )


def _end(process: subprocess.Popen[str]) -> Side:
    out, _ = process.communicate(timeout=900)
    assert process.returncode == 0, f"{process.args} ended with {process.returncode}"
    side: Side = json.loads(out.splitlines()[-1])
    return side


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_same_here_and_there(name: str, sides: tuple[Side, Side]) -> None:
    theirs, ours = sides[0][name], sides[1][name]
    assert "scenario failed" not in theirs, theirs["scenario failed"]
    assert "scenario failed" not in ours, ours["scenario failed"]

    found = {
        path: (theirs.get(path, ABSENT), ours.get(path, ABSENT))
        for path in sorted({*theirs, *ours})
        if theirs.get(path, ABSENT) != ours.get(path, ABSENT)
    }

    assert found == {path: (d.dagster, d.runplane) for path, d in DIFFERENCES.get(name, {}).items()}


def test_every_listed_difference_is_of_a_scenario_and_has_its_reason() -> None:
    assert set(DIFFERENCES) <= set(SCENARIOS)
    assert all(d.reason for listed in DIFFERENCES.values() for d in listed.values())
