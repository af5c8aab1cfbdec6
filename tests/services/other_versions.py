"""A program of another version: the same one, which takes itself to be of another protocol level."""

from __future__ import annotations

import sys

_OF_LEVEL = """
import runpy, sys
import runplane.storage.version as version
version.LEVEL = sys.argv.pop(1)
runpy.run_module("runplane", run_name="__main__", alter_sys=True)
"""


def command(level: str | None) -> list[str]:
    """What starts `runplane` as a version of this level; None: as it is."""
    return [sys.executable, "-m", "runplane"] if level is None else [sys.executable, "-c", _OF_LEVEL, level]
