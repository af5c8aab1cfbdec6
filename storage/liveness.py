"""Which process this is, and whether another one is proven gone: pid, its start time, and the kernel's boot id."""

from __future__ import annotations

import os
import secrets
import socket
from functools import lru_cache
from pathlib import Path

from .contract import Owner


def this_process(worker_id: str | None = None) -> Owner:
    """This process as the owner of a run. The worker id is drawn at random unless given."""
    pid = os.getpid()
    return Owner(worker_id or secrets.token_hex(8), socket.gethostname(), boot_id(), pid, start_time(pid) or 0)


@lru_cache(maxsize=1)
def boot_id() -> str:
    """The kernel's boot id; empty where the system has none (then nothing is ever proven gone by pid)."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text(encoding="ascii").strip() if path.exists() else ""


def start_time(pid: int) -> int | None:
    """Start time of a process in clock ticks after boot, or None when there is no such process (a zombie counts as none).

    Source: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html, fields 3 and 22.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return None if fields[0] in ("Z", "X") else int(fields[19])


def proven_gone(owner: Owner) -> str | None:
    """Evidence that the process is gone, or None: it lives, or it can not be known from here (another host or container)."""
    if not owner.boot_id or owner.host != socket.gethostname():
        return None
    if owner.boot_id != boot_id():
        return f"host {owner.host} was started again since process {owner.pid} coordinated the run"
    if start_time(owner.pid) != owner.pid_started:
        return f"process {owner.pid} on {owner.host} is gone"
    return None
