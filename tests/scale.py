"""How much of something a test does: the short count in `make test`, the whole one in `make test-long`.

@pytest.mark.parametrize("seed", range(scaled(200, long=800)))
"""

from __future__ import annotations

import os

IS_LONG = os.environ.get("RUNPLANE_LONG", "") not in ("", "0")


def scaled(short: int, *, long: int) -> int:
    return long if IS_LONG else short
