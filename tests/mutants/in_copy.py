"""In the process that runs a mutant's test: pytest, if ``import runplane`` means the copy. Loads nothing of ours itself."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import pytest


def main() -> None:
    copy, *arguments = sys.argv[1:]
    found = find_spec("runplane")
    if found is None or not str(found.origin).startswith(copy):
        sys.exit(f"the copy is not what is imported: {found}")
    sys.exit(pytest.main(arguments))
