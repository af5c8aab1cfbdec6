"""How a worker on this machine gets its request document: by an inherited descriptor.

``ps`` shows arguments to everybody, and Linux takes at most 128 KiB in one argument or variable. A descriptor is shown to nobody and has
no such bound. Source: https://man7.org/linux/man-pages/man2/execve.2.html (MAX_ARG_STRLEN).
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from ..events.argv import DOCUMENT_FD_ENV


@dataclass(frozen=True, slots=True)
class Handed:
    """What the worker is started with beside its command: variables, and the descriptors that it inherits."""

    env: dict[str, str]
    descriptors: tuple[int, ...]


@contextmanager
def handed_over(document: str) -> Iterator[Handed]:
    """While inside: a process that is started with these finds the document."""
    with _unnamed_file() as file:
        file.write(document.encode())
        file.seek(0)
        yield Handed({DOCUMENT_FD_ENV: str(file.fileno())}, (file.fileno(),))


def _unnamed_file() -> IO[bytes]:
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create("document"), "w+b")  # in memory: a full disk does not matter
    return tempfile.TemporaryFile()
