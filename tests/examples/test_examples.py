"""Every folder of examples/ runs through the command, as its page says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
ELSEWHERE = {"__pycache__", "celery", "kubernetes"}  # tests/real/celery and tests/real/kubernetes run those
CONFIG = {"package_audit": {"ops": {"list_distributions": {"config": {"limit": 12}}}}}
"""Run config of a job: here hundreds of distributions are installed, whose imports are timed one by one."""
FOLDERS = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir() and path.name not in ELSEWHERE)


def runplane(home: Path, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "runplane", *map(str, words)]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, env={**os.environ, "DAGSTER_HOME": str(home)}, timeout=300
    )


def jobs_of(home: Path, folder: str) -> list[str]:
    listed = runplane(home, "job", "list", "-f", EXAMPLES / folder / "definitions.py", "--json")
    assert listed.returncode == 0, listed.stderr
    return [job["name"] for job in json.loads(listed.stdout)]


@pytest.mark.parametrize("folder", FOLDERS)
def test_all_jobs_of_an_example_succeed(folder: str, tmp_path: Path) -> None:
    names = jobs_of(tmp_path, folder)
    assert names

    for name in names:
        words = ("-f", EXAMPLES / folder / "definitions.py", "-j", name)
        done = runplane(tmp_path, "job", "execute", *words, "--config-json", json.dumps(CONFIG.get(name, {})))

        assert done.returncode == 0, done.stdout + done.stderr
        assert f"of {name} succeeded in" in done.stdout
        assert "Outputs " in done.stdout
        if name == "package_audit":
            report = next(line.split()[1] for line in done.stdout.splitlines() if line.split()[:1] == ["Report"])
            assert Path(report).read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html>")


def test_there_are_examples() -> None:
    assert FOLDERS
