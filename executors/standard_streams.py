"""What user code prints leaves the process line by line: it is in the log when the process is killed, whatever ``PYTHONUNBUFFERED`` says."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import TextIO

STANDARD = (1, 2)
"""The descriptors of standard output and standard error."""


def by_line() -> Callable[[], None]:
    """From now on; call what is returned to have it as before. A character that the encoding lacks fails nobody; nor does a stream that
    user code has closed."""
    streams = [s for s in (sys.stdout, sys.stderr) if isinstance(s, io.TextIOWrapper) and not s.closed]
    before = [(stream, stream.line_buffering, stream.errors) for stream in streams]
    for stream in streams:
        stream.reconfigure(line_buffering=True, errors="backslashreplace")

    def restore() -> None:
        for stream, line_buffering, errors in before:
            if not stream.closed:
                stream.reconfigure(line_buffering=line_buffering, errors=errors)

    return restore


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
