"""How much of something a test does: the short count in `make test`, the whole one in `make test-long`.

@pytest.mark.parametrize("seed", range(scaled(200, long=800)))
"""

from __future__ import annotations

import os

IS_LONG = os.environ.get("RUNPLANE_LONG", "") not in ("", "0")


IS_FEW = os.environ.get("RUNPLANE_FEW", "") not in ("", "0")
"""Random cases that say something about the code, and next to nothing about the Python, are few on the other Pythons."""


def scaled(short: int, *, long: int, few: int | None = None) -> int:
    if few is not None and IS_FEW:
        return few
    return long if IS_LONG else short
