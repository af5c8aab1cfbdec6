"""A verb that is interrupted ends with its code, wherever the interrupt came."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from runplane.errors.exit_codes import ExitCode

PROGRAM = """
import click
from runplane.cli.verb import Verb, WorkerVerb

@click.command(cls=VERB)
def verb():
    WHERE

verb()
"""


@pytest.mark.parametrize("verb", ["Verb", "WorkerVerb"])
@pytest.mark.parametrize("where", ["raise KeyboardInterrupt", "exec('raise KeyboardInterrupt')"])
def test_the_code_of_an_interrupt_is_130(tmp_path: Path, verb: str, where: str) -> None:
    """Out of a text that is executed: a dataclass that is made when a verb imports its part."""
    program = PROGRAM.replace("VERB)", f"{verb})").replace("WHERE", where)
    (tmp_path / "interrupted_verb.py").write_text(program, encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "interrupted_verb"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (ExitCode.INTERRUPTED, "", "")
