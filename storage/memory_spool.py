"""Logs that wait in memory for their uploader, where nothing else can be written to: bounded, and who prints waits when there is no room.

Each log is two files in a memory file system. Their uploader frees what is stored (``s3/room.py``), and holds a lock on them meanwhile: who
waits for room knows by it that somebody makes some. Source: Linux man page flock(2).
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
import time
from pathlib import Path
from typing import Any

from . import MEMORY_FOLDER

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of this user's own in there
"""A file system in memory, which pods have too whose root can not be written to. Its size is its limit (64 MiB in pods)."""
MOST_BYTES = 16 << 20
"""How much of one file may wait; with its uploader's few pieces and other files it fits into a pod's 64 MiB."""
NOBODY_S = 30.0
"""How long room is waited for that nobody seems to make: an uploader may be on its way, in place of one that was killed."""
_LOOK_S = 0.02
_AT_ONCE = 1 << 20


def own_folder() -> Path:
    """This user's folder in memory; made if it is not there.

    Raises:
        OSError: it can not be made, or is somebody else's.
    """
    folder = _folder()
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.lstat().st_uid != os.getuid():
        raise PermissionError(errno.EACCES, "somebody else's folder", str(folder))
    return folder


def holds(descriptor: int) -> bool:
    """Whether this descriptor is a file of ``own_folder``."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}").startswith(f"{_folder()}/")
    except OSError:
        return False


class Spooled(io.RawIOBase):
    """Writes to a descriptor of such a file, and waits as long as it is full and somebody makes room.

    Args:
        descriptor: stays open when this is closed.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def fileno(self) -> int:
        """See ``io.IOBase``."""
        return self._descriptor

    def writable(self) -> bool:
        """See ``io.IOBase``."""
        return True

    def write(self, data: Any) -> int:
        """See ``io.RawIOBase``. Raises OSError when there is no room and nobody has made any for ``NOBODY_S``."""
        some, given_up = memoryview(data)[:_AT_ONCE], time.monotonic() + NOBODY_S
        while True:
            if not self._is_full():
                try:
                    return os.write(self._descriptor, some)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
            if self._is_attended():
                given_up = time.monotonic() + NOBODY_S
            elif time.monotonic() >= given_up:
                return os.write(self._descriptor, some)
            time.sleep(_LOOK_S)

    def _is_full(self) -> bool:
        return os.fstat(self._descriptor).st_blocks * 512 > MOST_BYTES

    def _is_attended(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        return False


def _folder() -> Path:
    return MEMORY / f"{MEMORY_FOLDER}{os.getuid()}"
