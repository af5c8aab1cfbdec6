"""What user code prints leaves the process line by line: it is in the log when the process is killed, whatever ``PYTHONUNBUFFERED`` says."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import TextIO

from .. import executors
from ..storage import MEMORY_FOLDER

STANDARD = (1, 2)
"""The descriptors of standard output and standard error."""
_NAMES = ("stdout", "stderr")
ERRORS = "backslashreplace"


def by_line() -> Callable[[], None]:
    """From now on; call what is returned to have it as before. A character that the encoding lacks fails nobody; nor does a stream that
    user code has closed. A stream whose descriptor leads to a file in memory waits for room there."""
    undo = [_made_by_line(name, descriptor) for name, descriptor in zip(_NAMES, STANDARD, strict=True)]

    def restore() -> None:
        for one in undo:
            one()

    return restore


def _made_by_line(name: str, descriptor: int) -> Callable[[], None]:
    stream = getattr(sys, name)
    if not isinstance(stream, io.TextIOWrapper) or stream.closed:
        return lambda: None
    if _may_be_in_memory(descriptor) and executors.spooled_streams.holds(descriptor):
        undo: Callable[[], None] = executors.spooled_streams.replaced(name, stream, descriptor)
        return undo
    line_buffering, errors = stream.line_buffering, stream.errors
    try:
        stream.reconfigure(line_buffering=True, errors=ERRORS)
    except OSError:
        # It was made for a file and leads into a pipe now, where it finds no position. The errors are set by then.
        stream.reconfigure(line_buffering=True)

    def restore() -> None:
        if not stream.closed:
            stream.reconfigure(line_buffering=line_buffering, errors=errors)

    return restore


def _may_be_in_memory(descriptor: int) -> bool:
    try:
        return f"/{MEMORY_FOLDER}" in os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return False


def flush() -> None:
    """Write what is still to be written. Where there is no room for it, it is dropped: who printed it was told, and it must not come out
    where the descriptor leads to next."""
    for stream, descriptor in zip((sys.stdout, sys.stderr), STANDARD, strict=True):
        if stream is None or stream.closed:
            continue
        try:
            stream.flush()
        except OSError:
            _drop(stream, descriptor)


def _drop(stream: TextIO, descriptor: int) -> None:
    before, nowhere = os.dup(descriptor), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    try:
        stream.flush()
    finally:
        os.dup2(before, descriptor)
        os.close(before)
        os.close(nowhere)
