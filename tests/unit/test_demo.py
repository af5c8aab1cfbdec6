"""What `make demo` says at its end can be typed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_last_lines_work_as_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / ".ci"))
    import demo

    environment = tmp_path / "a folder with spaces"
    (environment / "bin").mkdir(parents=True)
    command = environment / "bin" / "runplane"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m runplane "$@"\n')
    command.chmod(0o755)
    home = tmp_path / "home of runs"
    home.mkdir()

    lines = demo.next_commands(environment, home)
    done = subprocess.run(["sh", "-ec", "\n".join(lines)], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert lines[-1] == "runplane run list", "the commands that runs name begin so too"
    assert (home / "storage").exists() or list(home.iterdir()), "it was asked about that home"
