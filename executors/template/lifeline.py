"""A process that ends with its parent.

Linux sends a signal of one's choice when the parent (more exactly: the thread that forked) ends. It is asked for by number, since
Python has no name for it. Elsewhere a process notices its parent's end by the end of its socket pair alone.
Source: https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Be killed when `parent` ends; leave at once when it has ended already.

    Raises:
        OSError: the kernel refuses.
    """
    _signal_at_parents_end(signal.SIGKILL)
    # It may have ended before the kernel was asked.
    if os.getppid() != parent:
        os._exit(1)


def outlive_parent() -> None:
    """Take ``die_with`` back: who must tidy up first watches its socket pair instead."""
    _signal_at_parents_end(0)


def _signal_at_parents_end(number: int) -> None:
    if sys.platform != "linux":
        return
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
