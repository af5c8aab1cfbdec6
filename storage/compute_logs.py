"""Where what steps print is kept: files whose descriptors *are* a step process' stdout and stderr.

Nothing stands between a step and its log: what was written is in the file when the step or its coordinator is killed, and a
gigabyte of output passes through nobody's memory.

A log key names one capture: ``(run id, "compute_logs", eight random letters)``, announced by LOGS_CAPTURED. The files lie where
Dagster has them: ``<base>/<run id>/compute_logs/<letters>.out``, ``.err``, and an empty ``.complete`` once nothing more comes.
Source: https://docs.dagster.io/api/dagster/internals (ComputeLogManager, LocalComputeLogManager).
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from ..errors import NotFoundError, RunplaneError
from ..serdes.record import record

Stream = Literal["out", "err"]
LONGEST_NAME = 255
"""Longest file name that file systems take; a longer one is replaced by its MD5."""


@record
class Chunk:
    """A piece of a log.

    Attributes:
        data: bytes as they were written; may end inside a character.
        next: offset to go on from.
        complete: this piece reaches the end, and nothing more will be written.
    """

    data: bytes
    next: int
    complete: bool


class ComputeLogStore(Protocol):
    """Keeps what steps print."""

    def open(self, log_key: Sequence[str]) -> tuple[int, int]:
        """Two descriptors to be a process' stdout and stderr; the caller closes them. Raises OSError when there is no room."""

    def read(self, log_key: Sequence[str], stream: Stream, offset: int, max_bytes: int) -> Chunk:
        """At most `max_bytes` from `offset`. What is not there yet is an empty piece that is not complete.

        Raises:
            LogsUnavailableError: the place where logs are kept does not answer.
        """

    def finish(self, log_key: Sequence[str]) -> None:
        """Nothing more will be written under this key. Idempotent."""


@runtime_checkable
class DeletesLogs(Protocol):
    """A store that can delete. Without it the logs of a deleted run stay, and that is said."""

    def delete(self, run_id: str) -> None:
        """Delete all that was captured of a run. Idempotent; raises OSError when it can not."""


@runtime_checkable
class Drains(Protocol):
    """A ``ComputeLogStore`` that brings logs elsewhere behind the back of who writes them."""

    def drain(self, patience_s: float) -> Sequence[str]:
        """Wait until all logs opened here are where readers find them, as long as something gets through every `patience_s` seconds.

        Returns:
            What is missing then, a sentence each.
        """


@runtime_checkable
class KeptElsewhere(Protocol):
    """A ``ComputeLogStore`` whose logs are on another machine.

    Attributes:
        look_s: seconds between two looks for something new.
        place_only: readers are told the place instead of the log.
    """

    look_s: float

    @property
    def place_only(self) -> bool: ...

    def place(self, log_key: Sequence[str], stream: Stream) -> str:
        """Where the log is, for people."""


class LogsUnavailableError(RunplaneError):
    """The place where logs are kept does not answer, or refuses. Nothing is known to be lost."""


def new_log_key(run_id: str) -> tuple[str, str, str]:
    """A key that no other capture of the run has."""
    return (run_id, "compute_logs", "".join(random.SystemRandom().choices(string.ascii_lowercase, k=8)))


def file_name(name: str, extension: str) -> str:
    """``<name>.<extension>``, or the MD5 of a name that is too long."""
    full = f"{name}.{extension}"
    if len(full.encode()) <= LONGEST_NAME:
        return full
    return f"{hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()}.{extension}"


class LocalComputeLogStore:
    """Files below one folder.

    Args:
        base_dir: the folder; run folders are made below it as needed.
    """

    def __init__(self, base_dir: Path) -> None:
        self.base_dir = base_dir

    def open(self, log_key: Sequence[str]) -> tuple[int, int]:
        """See ``ComputeLogStore``. Both files are opened for appending."""
        out = self.path(log_key, "out")
        out.parent.mkdir(parents=True, exist_ok=True)
        out_fd = _append_to(out)
        try:
            return out_fd, _append_to(self.path(log_key, "err"))
        except OSError:
            os.close(out_fd)
            raise

    def read(self, log_key: Sequence[str], stream: Stream, offset: int, max_bytes: int) -> Chunk:
        """See ``ComputeLogStore``."""
        # The marker first: whatever was written before it is seen by the read that follows.
        ended = self.path(log_key, "complete").exists()
        try:
            fd = os.open(self.path(log_key, stream), os.O_RDONLY)
        except FileNotFoundError:
            return Chunk(b"", offset, ended)
        try:
            data = os.pread(fd, max_bytes, offset)
            at_end = offset + len(data) >= os.fstat(fd).st_size
        finally:
            os.close(fd)
        return Chunk(data, offset + len(data), ended and at_end)

    def finish(self, log_key: Sequence[str]) -> None:
        """See ``ComputeLogStore``."""
        marker = self.path(log_key, "complete")
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()

    def delete(self, run_id: str) -> None:
        """See ``DeletesLogs``."""
        remove_tree(self.path((run_id, "compute_logs", "any"), "out").parent)

    def path(self, log_key: Sequence[str], extension: str) -> Path:
        """The file of a log key.

        Raises:
            NotFoundError: the key would leave the folder.
        """
        *folders, name = log_key
        if any(part in ("", ".", "..") or "/" in part or "\0" in part for part in log_key):
            raise NotFoundError(
                "no such log key", got=repr(list(log_key)), expected="names of folders and a file, no paths"
            )
        return self.base_dir.joinpath(*folders, file_name(name, extension))


class NoOpComputeLogStore:
    """Keeps nothing: steps print where their run prints (a pod's own log)."""

    def open(self, log_key: Sequence[str]) -> tuple[int, int]:
        """Copies of this process' own stdout and stderr."""
        return os.dup(1), os.dup(2)

    def read(self, log_key: Sequence[str], stream: Stream, offset: int, max_bytes: int) -> Chunk:
        """Nothing, and nothing more will come."""
        return Chunk(b"", offset, True)

    def finish(self, log_key: Sequence[str]) -> None:
        """Nothing is kept, so nothing ends."""

    def delete(self, run_id: str) -> None:
        """Nothing is kept, so nothing is deleted."""


class PodLogStore(NoOpComputeLogStore):
    """Steps print where their pod prints: nothing is spooled, so nothing can be dropped; who reads the pod's log has it all. Steps that are
    processes of one pod print there through their run worker (``executors/pod_output.py``).

    Args:
        pod: the pod's name.
    """

    def __init__(self, pod: str) -> None:
        self.pod = pod


def place_of(logs: ComputeLogStore) -> dict[str, str]:
    """What the event that announces a log says of its place, where that is a pod's own log."""
    return {"pod": logs.pod} if isinstance(logs, PodLogStore) else {}


def remove_tree(folder: Path) -> None:
    """Remove a folder with all that is in it; another process may be removing it too. Raises OSError."""
    while folder.is_dir():
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            continue  # the other one was faster with this entry


def _append_to(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
