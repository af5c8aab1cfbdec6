"""Standard streams that wait for room: those whose descriptor leads to a log in memory. Loaded where there is one."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import TextIO

from ..storage.memory_spool import Spooled, holds
from .standard_streams import ERRORS

__all__ = ["holds", "replaced"]


def replaced(name: str, stream: TextIO, descriptor: int) -> Callable[[], None]:
    """Put a stream that waits for room in the place of ``sys.<name>``; call what is returned to have it as before."""
    waiting = io.TextIOWrapper(
        io.BufferedWriter(Spooled(descriptor)), stream.encoding, errors=ERRORS, line_buffering=True
    )
    setattr(sys, name, waiting)

    def restore() -> None:
        if getattr(sys, name) is waiting:
            setattr(sys, name, stream)

    return restore
