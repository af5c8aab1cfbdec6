"""What the control groups of this process say: its CPU quota, and how often the kernel killed one of its processes for memory.

Linux only; elsewhere, and where a file is missing, nothing is known and None is returned. Both versions are read: a unified tree
(v2) and a tree per controller (v1). A limit holds for all groups below the one that has it, so the smallest on the way up counts.
Source: https://docs.kernel.org/admin-guide/cgroup-v2.html and .../cgroup-v1/
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..serdes.record import record

PROC = Path("/proc")
TREE = Path("/sys/fs/cgroup")


@record
class Cgroups:
    """The control groups of one process.

    Attributes:
        tree: where they are mounted.
        proc: where processes are shown; ``<proc>/self/cgroup`` names the groups.
    """

    tree: Path = TREE
    proc: Path = PROC

    def cpu_quota(self) -> float | None:
        """CPUs that the process may use by quota (2.5 is two and a half), or None without a limit."""
        found = [q for folder in self._folders("cpu") for q in [_v2_quota(folder), _v1_quota(folder)] if q is not None]
        return min(found, default=None)

    def oom_kills(self) -> int | None:
        """How many processes of this group the kernel has killed for memory so far; None when nothing counts them.

        Where the group has no counter (the root group), the machine's own is taken.
        """
        for folder in self._folders("memory"):
            for name in ("memory.events", "memory.oom_control"):
                count = _number_after(folder / name, "oom_kill")
                if count is not None:
                    return count
        return _number_after(self.proc / "vmstat", "oom_kill")

    def _folders(self, controller: str) -> Iterator[Path]:
        """The process' group and those above it, for both versions, the nearest first.

        In a container the path in ``/proc/self/cgroup`` may be the host's, while the mount begins at the container's own group;
        a path that is not there is cut from the left until it is.
        """
        for line in _lines(self.proc / "self" / "cgroup"):
            _, controllers, path = line.split(":", 2)
            if controllers == "":
                tops = [self.tree, self.tree / "unified"]
            elif controller in controllers.split(","):
                tops = [self.tree / controllers, self.tree / controller]
            else:
                continue
            for top in dict.fromkeys(tops):
                if top.is_dir():
                    yield from _upwards(top, _known_part(top, path))


def _known_part(top: Path, path: str) -> Path:
    parts = [p for p in path.split("/") if p not in ("", "..")]
    while parts and not top.joinpath(*parts).is_dir():
        parts = parts[1:]
    return top.joinpath(*parts)


def _upwards(top: Path, folder: Path) -> Iterator[Path]:
    while folder != top:
        yield folder
        folder = folder.parent
    yield top


def _v2_quota(folder: Path) -> float | None:
    words = " ".join(_lines(folder / "cpu.max")).split()
    if len(words) != 2 or words[0] == "max":
        return None
    return int(words[0]) / int(words[1])


def _v1_quota(folder: Path) -> float | None:
    quota = "".join(_lines(folder / "cpu.cfs_quota_us"))
    period = "".join(_lines(folder / "cpu.cfs_period_us"))
    if not quota or not period or int(quota) <= 0:
        return None
    return int(quota) / int(period)


def _number_after(path: Path, word: str) -> int | None:
    for line in _lines(path):
        name, _, value = line.partition(" ")
        if name == word and value.strip().isdigit():
            return int(value)
    return None


def _lines(path: Path) -> list[str]:
    """The lines of a file, none when it can not be read: not every system has these files."""
    try:
        return path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
