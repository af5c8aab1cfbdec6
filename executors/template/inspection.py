"""What the import of user code left in the template that does not survive a fork: threads, sockets, accelerators.

A forked child has the memory of all threads and only one of them: a lock held by another stays held for ever. A socket is shared
with its siblings, whose words then mix. A driver of an accelerator refuses or hangs in a child.

Linux only: it reads ``/proc/self``. Where there is none the template is not used.
"""

from __future__ import annotations

import os
import re
import select
import socket
import threading
import warnings
from collections.abc import Mapping
from pathlib import Path

from ...serdes.record import record

TRIAL_S = 10.0
_LIBRARIES = re.compile(
    r"/(libcuda|libamdhip64|libhsa-runtime64|libze_intel_gpu|libtpu|libnrt|libneuron[a-z]*)[-.0-9]*\.so[^/]*$"
)
"""User-space drivers. The CUDA *runtime* (``libcudart``) is not among them: frameworks load it at import and start the driver at
first use."""
_DEVICES = re.compile(r"^/dev/(nvidia|kfd|dri/render|accel|neuron|habanalabs|davinci)")


@record
class Before:
    """What the process had before user code: its sockets are not held against that code.

    Attributes:
        fds: open descriptors, number to what they lead to.
    """

    fds: Mapping[int, str]


def before(proc: Path = Path("/proc/self")) -> Before:
    """A look before user code is imported."""
    return Before(_descriptors(proc))


def unsafe_to_fork(earlier: Before, proc: Path = Path("/proc/self")) -> list[str]:
    """What speaks against forking this process, each as a phrase for a person; empty when nothing does."""
    found = _threads(proc)
    if found and _trial_fork():
        # Libraries that prepare for it (OpenBLAS) end their threads before a fork; who is left would be missing in the child.
        found = _threads(proc)
    return [*found, *_sockets(earlier, proc), *_accelerators(proc)]


def _threads(proc: Path) -> list[str]:
    mine = threading.get_native_id()
    named = {t.native_id: t.name for t in threading.enumerate()}
    found, foreign = [], 0
    for task in sorted(int(p.name) for p in (proc / "task").iterdir()):
        if task == mine:
            continue
        if task in named:
            found.append(f"the thread {named[task]!r}")
        else:
            foreign += 1
    if foreign:
        found.append(f"{foreign} thread{'s' if foreign > 1 else ''} of a library (not Python's)")
    return found


def _sockets(earlier: Before, proc: Path) -> list[str]:
    found = []
    for fd, target in sorted(_descriptors(proc).items()):
        if target.startswith("socket:") and earlier.fds.get(fd) != target:
            found.append(f"the socket {_address(fd)} (descriptor {fd})")
    return found


def _accelerators(proc: Path) -> list[str]:
    mapped = {
        line.split(maxsplit=5)[5]
        for line in (proc / "maps").read_text().splitlines()
        if line.count(" ") >= 5 and "/" in line
    }
    opened = set(_descriptors(proc).values())
    libraries = sorted({path for path in mapped if _LIBRARIES.search(path)})
    devices = sorted({path for path in mapped | opened if _DEVICES.match(path)})
    return [*(f"the accelerator library {p}" for p in libraries), *(f"the accelerator device {p}" for p in devices)]


def _trial_fork() -> bool:
    """Fork once, so that libraries do what they do before a fork. False when the child did not come to life."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # Python 3.12 warns of exactly what is being tried here.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            pid = os.fork()
        except OSError:
            # No process to be had now: what was found stands.
            os.close(reading)
            os.close(writing)
            return False
    if pid == 0:
        os._exit(0)
    os.close(writing)
    alive = bool(select.select([reading], [], [], TRIAL_S)[0])
    os.close(reading)
    if not alive:
        os.kill(pid, 9)
    os.waitpid(pid, 0)
    return alive


def _descriptors(proc: Path) -> dict[int, str]:
    found = {}
    for name in os.listdir(proc / "fd"):
        try:
            found[int(name)] = os.readlink(proc / "fd" / name)
        except FileNotFoundError:
            # The descriptor that lists the folder is closed by now.
            continue
    return found


def _address(fd: int) -> str:
    copy = socket.socket(fileno=os.dup(fd))
    try:
        ends = [copy.getsockname()]
        try:
            ends.append(copy.getpeername())
        except OSError:
            # Not connected: it listens, or was never used.
            ends.append("")
        mine, other = (_end(e) for e in ends)
        return f"{mine} to {other}" if other else mine
    finally:
        copy.close()


def _end(address: object) -> str:
    if isinstance(address, tuple):
        return ":".join(str(a) for a in address[:2])
    return repr(address) if address else ""
