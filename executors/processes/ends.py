"""How processes ended, in words; and the end of what a dead one left behind."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

KILLED_S = 1.0
"""How long what was killed may take to be gone."""


def exit_code(status: int | None) -> int | None:
    """The exit code in what ``os.waitpid`` gave, negative for a signal; None when nobody could wait for the process."""
    return None if status is None else os.waitstatus_to_exitcode(status)


def in_words(code: int | None) -> str:
    """``was killed by SIGKILL`` for -9."""
    if code is None:
        return "ended"
    if code < 0:
        return f"was killed by {signal_name(-code)}"
    return f"left with exit code {code}"


def signal_name(number: int) -> str:
    """``SIGSEGV`` for 11; the number for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def kill_sessions(leaders: Sequence[int]) -> None:
    """Kill what children of a dead template left behind. Each child led a session of its own."""
    if not leaders:
        return
    if sys.platform != "linux":
        for pid in leaders:
            _kill_if_there(os.killpg, pid)
        return
    wanted, give_up = set(leaders), time.monotonic() + KILLED_S
    while time.monotonic() < give_up:
        left = [int(name) for name in os.listdir("/proc") if name.isdigit() and _session_of(name) in wanted]
        if not left:
            return
        for pid in left:
            _kill_if_there(os.kill, pid)
        time.sleep(0.002)


def _session_of(pid: str) -> int | None:
    """The session that a process is in; None for one that has ended."""
    try:
        text = Path("/proc", pid, "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return None if fields[0] in ("Z", "X") else int(fields[3])


def _kill_if_there(kill: Callable[[int, int], None], pid: int) -> None:
    try:
        kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        # It ended by itself.
        return
