"""Room for logs in memory: what is stored is freed, while the file stays as long as it is.

Sources: Linux man pages fallocate(2) (FALLOC_FL_PUNCH_HOLE), lseek(2) (SEEK_DATA), flock(2).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os

_PUNCH_HOLE_KEEP_SIZE = 0x02 | 0x01


def attend(descriptor: int) -> None:
    """Say that this process frees what it has stored, until it closes the descriptor or is gone."""
    fcntl.flock(descriptor, fcntl.LOCK_SH)


def freed_to(descriptor: int) -> int:
    """Up to where the file was freed, in bytes: what was printed is no hole, even where it is zeros."""
    try:
        return os.lseek(descriptor, 0, os.SEEK_DATA)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return os.fstat(descriptor).st_size


def free(descriptor: int, begin: int, size: int) -> None:
    """Give the memory of so many bytes back; the file stays as long as it is.

    Raises:
        OSError: the file system can not do this.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    offset, length = ctypes.c_int64(begin), ctypes.c_int64(size)
    if libc.fallocate(descriptor, _PUNCH_HOLE_KEEP_SIZE, offset, length):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
