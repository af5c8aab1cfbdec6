"""Who holds the write lock of a SQLite file: the kernel knows.

In WAL mode the writer's lock is byte 120 of the ``-shm`` file (https://www.sqlite.org/walformat.html#wal_locks), a POSIX lock, and
Linux lists those with the process that holds them (https://man7.org/linux/man-pages/man5/proc_locks.5.html). The file itself is
never opened for this: closing it would drop this process's own locks.
"""

from __future__ import annotations

import os
from pathlib import Path

WRITE_LOCK_BYTE = 120


def lock_holder(database: Path, locks: Path = Path("/proc/locks")) -> int | None:
    """The process id of the writer, or None: nobody writes, or it can not be known here (no ``/proc``, another pid namespace)."""
    try:
        found = os.stat(f"{database}-shm")
        lines = locks.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    for line in lines:
        # 1: POSIX  ADVISORY  WRITE 4242 08:01:131 120 120; a waiter has "->" after the number.
        fields = line.split()
        if len(fields) != 8 or fields[1] not in ("POSIX", "OFDLCK") or fields[3] != "WRITE" or fields[5] != device:
            continue
        last = float("inf") if fields[7] == "EOF" else int(fields[7])
        if int(fields[6]) <= WRITE_LOCK_BYTE <= last and int(fields[4]) > 0:
            return int(fields[4])
    return None


def describe(pid: int) -> str:
    """A process for a person: its id, its command, and whether it is stopped."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return f"process {pid}"
    shown = f" ({command[:80]})" if command else ""
    return f"process {pid}{shown}" + (", which is stopped," if state in ("T", "t") else "")
