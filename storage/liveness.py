"""Which process this is, and whether another one is proven gone: pid, its start time, and the kernel's boot id."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from ..errors import StorageUnavailableError
from .contract import Head, Owner

LOOK_S = 0.25
_FIRST_PID_NAMESPACE = 0xEFFFFFFC
"""Number of the namespace that the kernel starts with (``PROC_PID_INIT_INO``)."""


def this_process(worker_id: str | None = None) -> Owner:
    """This process as the owner of a run. The worker id is drawn at random unless given."""
    pid = os.getpid()
    return Owner(worker_id or secrets.token_hex(8), host_name(), boot_id(), pid, start_time(pid) or 0)


def host_name() -> str:
    """The host's name, and in a container the number of its pid namespace: there the same pids mean other processes, and containers
    may share a name (``hostNetwork``, a name given by hand).

    Source: https://man7.org/linux/man-pages/man7/pid_namespaces.7.html
    """
    found = re.fullmatch(r"pid:\[(\d+)\]", _link("/proc/self/ns/pid"))
    inside = found is not None and int(found.group(1)) != _FIRST_PID_NAMESPACE
    name = os.uname().nodename
    return f"{name} (pid namespace {found.group(1)})" if found and inside else name


def _link(path: str) -> str:
    """What a symbolic link says; empty where there is none."""
    try:
        return os.readlink(path)
    except OSError:
        return ""


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
    if not owner.boot_id or owner.host != host_name():
        return None
    if owner.boot_id != boot_id():
        return f"host {owner.host} was started again since process {owner.pid} coordinated the run"
    if start_time(owner.pid) != owner.pid_started:
        return f"process {owner.pid} on {owner.host} is gone"
    return None


def stood_still(
    read: Callable[[], Head],
    seen: Head,
    ttl_s: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Whether the owner's beat stayed at `seen` through one whole `ttl_s` of uninterrupted contact with the database.

    A gap in the contact (the database was away, or this process was frozen) begins the time anew: the owner could not be seen in it,
    and perhaps could not beat. Nobody is replaced because *he* could not see it renewed.

    Args:
        read: reads the run's head; may wait for a database that is away, or raise StorageUnavailableError.

    Returns:
        False as soon as the beat goes on, the epoch changes or the run is over.
    """
    look_s = min(LOOK_S, ttl_s / 8)
    longest_gap_s = max(4 * look_s, ttl_s / 4)
    began = last = clock()
    while last - began < ttl_s:
        sleep(look_s)
        try:
            now = read()
        except StorageUnavailableError:
            # The next read that succeeds finds the gap.
            continue
        if (now.beat, now.epoch) != (seen.beat, seen.epoch) or now.status.is_final:
            return False
        at = clock()
        if at - last > longest_gap_s:
            began = at
        last = at
        if now.owner is not None and proven_gone(now.owner):
            return True
    return True
