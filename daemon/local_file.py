"""A file on this machine that says how a daemon or a worker is, for ``runplane daemon liveness-check`` and ``celery worker status``: they ask
no database and load nothing heavy, so that a database that is away never has a living process killed."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UnsupportedError

FILE_ENV = "RUNPLANE_DAEMON_FILE"
"""Where the file is; by default in a folder of the user in the temporary folder, a file per process."""
SHARED_MEMORY = Path("/dev/shm")
STALE_S = 30.0
"""A file that was not written for so long is that of a daemon that hangs."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Of whose files are meant: `name` for people and of the folder, `variable` that may say where the file is."""

    name: str
    variable: str


DAEMON = Kind("daemon", FILE_ENV)
WORKER = Kind("worker", "RUNPLANE_CELERY_WORKER_FILE")


@dataclass(frozen=True, slots=True)
class Liveness:
    """Whether a daemon lives, and why it is said so."""

    is_live: bool
    text: str


def own_file(pid: int, kind: Kind = DAEMON) -> Path:
    """The file of the daemon or worker in process `pid`."""
    given = os.environ.get(kind.variable)
    return Path(given) if given else folder(kind) / f"{pid}.json"


def folder(kind: Kind = DAEMON) -> Path:
    """Where the files of this user's daemons or workers are.

    Raises:
        UnsupportedError: this process may write nowhere.
    """
    return _temporary(kind) / f"runplane-{kind.name}s-{os.getuid()}"


def _temporary(kind: Kind) -> Path:
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        # A container whose root is read-only: its shared memory is writable all the same.
        if os.access(SHARED_MEMORY, os.W_OK):
            return SHARED_MEMORY
        raise UnsupportedError(
            f"a {kind.name} keeps a small file about itself, and there is no folder that it may write to",
            got=str(error),
            hint=f"Mount one at /tmp (an emptyDir), or name a file with {kind.variable}.",
        ) from error


def write(path: Path, body: Mapping[str, Any]) -> None:
    """Replace the file; who reads it sees the old one or the new one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_suffix(f".{os.getpid()}.new")
    beside.write_text(json.dumps({**body, "at": _clock()}), encoding="utf-8")
    beside.replace(path)


class StateFile:
    """The file of this process, which it writes again and again.

    Args:
        path: where it is.
        say: told what a person should know.
    """

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        self._path = path
        self._say = say
        self._is_said = False

    def tell(self, body: Mapping[str, Any]) -> None:
        """Write it anew. That it can not be written is said once, and is no reason to end: what a full disk refuses now it may take the next
        time."""
        try:
            write(self._path, body)
            self._is_said = False
        except OSError as error:
            if not self._is_said:
                self._say(f"{self._path} can not be written, and liveness checks fail by and by: {error.strerror}")
            self._is_said = True

    def remove(self) -> None:
        """The process ends. A file that stays says nothing: its process is gone."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            self._say(f"{self._path} stays: {error.strerror}")


def living(kind: Kind = DAEMON) -> list[dict[str, Any]]:
    """What the living ones of this user on this machine (or in this container) wrote last."""
    given = os.environ.get(kind.variable)
    files = [Path(given)] if given else sorted(folder(kind).glob("*.json"))
    return [body for path in files if (body := _read(path)) is not None and _runs(body)]


def check(stale_s: float = STALE_S, kind: Kind = DAEMON) -> Liveness:
    """Whether one lives here, and each of its loops goes on."""
    found = living(kind)
    if not found:
        place = os.environ.get(kind.variable) or folder(kind)
        return Liveness(False, f"no {kind.name} runs here: {place} says nothing of a living process")
    for body in found:
        age = _clock() - body["at"]
        if age > stale_s:
            return Liveness(False, f"process {body['pid']} has not been heard of for {age:.0f} s")
        hanging = [name for name, state in body["loops"].items() if state["state"] in ("hangs", "ended")]
        if hanging:
            return Liveness(False, f"in process {body['pid']} these loops do not go on: {', '.join(hanging)}")
    return Liveness(True, "; ".join(f"process {b['pid']}: {', '.join(b['loops'])}" for b in found))


def _clock() -> float:
    """Seconds since the machine started: the same for all processes, and nobody sets it."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        body: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return body


def _runs(body: Mapping[str, Any]) -> bool:
    """Whether the process is there. Another one that has its number by now does not write the file, which gets old."""
    try:
        os.kill(int(body["pid"]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
