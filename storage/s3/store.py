"""Logs in S3, for those who write and those who read them.

Writing: descriptors of local files, and an uploader (a process of its own, started with the first log) that is told of them. The worker
itself loads no S3 client: a process from which steps are forked has no threads and no sockets.

Reading: from the local files where they are, else from the bucket.
"""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...config.pointer import ClassPointer, load_class
from ...errors import UnsupportedError
from .. import memory_spool
from ..compute_logs import Chunk, LocalComputeLogStore, LogsUnavailableError, Stream
from .layout import Layout
from .settings import S3Settings

CLIENT = "obstore"
INSTALL = "pip install 'runplane[s3]'"
SILENT_S = 20.0
"""An uploader that is asked to end says that it is still at it all the time; one that is silent for so long is replaced."""
CLOSE_PATIENCE_S = 5.0
_MOST_TOLD = 20
"""Of so many logs that are missing each is named, of more their number."""
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
_FORGET_FROM = 1000
"""From so many logs on, those that are stored are forgotten."""


class S3ComputeLogStore:
    """Keeps logs in a bucket; see ``ComputeLogStore``.

    Args:
        settings: of the bucket.
        local_dir: where logs are until they are stored whole; in memory, where this process may not write there.

    Raises:
        UnsupportedError: the S3 client is not installed.
    """

    look_s = 1.0
    """A reader asks the bucket no more often than this."""

    def __init__(self, settings: S3Settings, local_dir: Path) -> None:
        if importlib.util.find_spec(CLIENT) is None:
            raise UnsupportedError(
                f"logs in S3 need the package {CLIENT!r}, which is not installed",
                where=settings.url,
                hint=f"Install it: {INSTALL}",
            )
        self.settings = settings
        self._local = LocalComputeLogStore(local_dir)
        self._in_memory = False
        self._turn = threading.Lock()
        self._uploader: _Uploader | None = None
        self._complete: dict[tuple[str, ...], bool] = {}
        self._forget_at = _FORGET_FROM
        self._reader: Any = None

    @classmethod
    def from_config(cls, package: str, config: Mapping[str, Any], home: Path) -> S3ComputeLogStore:
        """From the checked config of ``dagster_aws`` or ``dagster_obstore``.

        Raises:
            UnsupportedError: the S3 client is not installed, or a file that the config names can not be read.
        """
        try:
            made = S3Settings.of_dagster_aws if package == "dagster_aws" else S3Settings.of_dagster_obstore
            settings = made(config)
        except OSError as error:
            raise UnsupportedError(
                f"the file of verify_cert_path can not be read: {error}", where="compute_logs"
            ) from error
        return cls(settings, Path(config["local_dir"]) if config.get("local_dir") else home / "storage")

    @property
    def local_dir(self) -> Path:
        """Where logs are until they are stored whole."""
        return self._local.base_dir

    # Writing ----------------------------------------------------------------------------------------------------------------

    def open(self, log_key: Sequence[str]) -> tuple[int, int]:
        """See ``ComputeLogStore``."""
        try:
            descriptors = self._local.open(log_key)
        except OSError as error:
            if error.errno not in _REFUSED or not memory_spool.MEMORY.is_dir():
                raise
            self._local, self._in_memory = LocalComputeLogStore(memory_spool.own_folder()), True
            descriptors = self._local.open(log_key)
        self._tell(tuple(log_key), complete=False)
        return descriptors

    def finish(self, log_key: Sequence[str]) -> None:
        """See ``ComputeLogStore``. A log that another worker has opened is marked as complete as far as it is stored."""
        if self._local.path(log_key, "out").exists():
            self._local.finish(log_key)
        self._tell(tuple(log_key), complete=True)

    def drain(self, patience_s: float) -> Sequence[str]:
        """See ``Drains``. Everything opened so far is complete with this; the next log has an uploader of its own."""
        with self._turn:
            if not self._complete:
                return ()
            reply = None
            for uploader in (self._uploader, None):
                # One that was killed is replaced, by one that is told everything again.
                uploader = uploader or self._started()
                if uploader is not None:
                    reply = uploader.end(patience_s)
                if reply is not None:
                    break
            self._uploader = None
            self._complete.clear()
        if reply is None:
            where = f"{self.settings.url}. What is not there stays on this machine, below {self.local_dir}"
            return (
                f"The process that uploads logs can not be started, or was killed: they may not be whole in {where}.",
            )
        told = [self._lost(entry) for entry in reply[:_MOST_TOLD]]
        if len(reply) > _MOST_TOLD:
            told.append(
                f"{len(reply) - _MOST_TOLD} more logs are not stored whole. They stay on this machine, below {self.local_dir}"
            )
        return told

    def close(self) -> None:
        """Called when the instance is closed: whoever marked a log as complete and did not wait for it, waits a moment."""
        for missing in self.drain(CLOSE_PATIENCE_S):
            sys.stderr.write(f"runplane: {missing}\n")

    def _lost(self, entry: Mapping[str, Any]) -> str:
        key, paths = "/".join(entry["log_key"]), ", ".join(entry["paths"])
        if not paths:
            return f"The log {key} is not marked as complete in {self.settings.url}: {entry['why']}"
        return (
            f"What was printed ({entry['bytes']} bytes) is not stored whole in {self.settings.url}: {entry['why']} "
            f"It stays on this machine: {paths}"
        )

    def _tell(self, key: tuple[str, ...], *, complete: bool) -> None:
        with self._turn:
            known = key in self._complete
            self._complete[key] = complete
            told = self._uploader is not None and (
                self._uploader.tell(_finished(key)) if known else self._introduce(self._uploader, key)
            )
            if not told:
                self._uploader = self._started()
            if len(self._complete) >= self._forget_at:
                self._complete = {k: done for k, done in self._complete.items() if not done or self._is_local(k)}
                self._forget_at = 2 * max(_FORGET_FROM, len(self._complete))

    def _introduce(self, uploader: _Uploader, key: tuple[str, ...]) -> bool:
        """Tell an uploader all about a log."""
        paths = {stream: str(self._local.path(key, stream).absolute()) for stream in ("out", "err")}
        told = uploader.tell({"open": key, "paths": paths, "in_memory": self._in_memory})
        return told and (not self._complete[key] or uploader.tell(_finished(key)))

    def _started(self) -> _Uploader | None:
        """An uploader that knows all there is to know; None when the system gives no process now: no step fails for that."""
        try:
            uploader = _Uploader(self.settings)
        except OSError as error:
            sys.stderr.write(f"runplane: logs are not uploaded for now: {error}\n")
            return None
        for key in self._complete:
            self._introduce(uploader, key)
        return uploader

    def _is_local(self, key: tuple[str, ...]) -> bool:
        return self._local.path(key, "out").exists()

    # Reading ----------------------------------------------------------------------------------------------------------------

    def read(self, log_key: Sequence[str], stream: Stream, offset: int, max_bytes: int) -> Chunk:
        """See ``ComputeLogStore``.

        Raises:
            LogsUnavailableError: the service does not answer, or refuses.
        """
        # What waits in memory has holes where it is stored.
        if not self._in_memory and self._local.path(log_key, stream).exists():
            chunk = self._local.read(log_key, stream, offset, max_bytes)
            # Removed between the two looks: it is in the bucket by now.
            if chunk.data or self._local.path(log_key, stream).exists():
                return chunk
        found: Chunk = self._bucket().read(Layout(self.settings.folder, tuple(log_key)), stream, offset, max_bytes)
        return found

    def delete(self, run_id: str) -> None:
        """See ``DeletesLogs``: what is in the bucket, and what is on this machine."""
        self._local.delete(run_id)
        try:
            self._bucket().delete(run_id)
        except LogsUnavailableError as error:
            raise OSError(str(error)) from error

    def _bucket(self) -> Any:
        """What reads and deletes; it loads the client."""
        if self._reader is None:
            pointer = ClassPointer(f"{__package__}.reader", "Reader")
            self._reader = load_class(pointer, where=self.settings.url)(self.settings)
        return self._reader

    @property
    def place_only(self) -> bool:
        """``show_url_only`` of the configuration."""
        return self.settings.url_only

    def place(self, log_key: Sequence[str], stream: Stream) -> str:
        """Where a log is, for people: an ``s3://`` URL."""
        return f"s3://{self.settings.bucket}/{Layout(self.settings.folder, tuple(log_key)).whole(stream)}"


class _Uploader:
    """The uploader's process, as its worker sees it."""

    def __init__(self, settings: S3Settings) -> None:
        # Its trouble goes where this process' own goes. Not the group of this process: Ctrl-C is not for it.
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.uploader", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdin.fileno(), False)
        self._unsaid = b""
        self._gone = False
        self.tell(settings.to_json())

    def tell(self, message: Mapping[str, Any]) -> bool:
        """Say something; what it does not take at once is said later. False when it is gone."""
        assert self._process.stdin is not None
        if self._gone:
            return False
        self._unsaid += json.dumps(message).encode() + b"\n"
        try:
            while self._unsaid:
                self._unsaid = self._unsaid[os.write(self._process.stdin.fileno(), self._unsaid) :]
        except BlockingIOError:
            return True
        except BrokenPipeError:
            self._bury()
            return False
        return True

    def end(self, patience_s: float) -> list[Any] | None:
        """Have it finish; what is missing, or None when it went away, or fell silent, without a word of that."""
        assert self._process.stdout is not None
        if not self.tell({"end": patience_s}):
            return None
        heard, reply = b"", None
        while reply is None and select.select([self._process.stdout], [], [], SILENT_S)[0]:
            data = os.read(self._process.stdout.fileno(), 1 << 16)
            if not data:
                break
            # Empty lines say that it is still at it; the first other one is the reply.
            *lines, heard = (heard + data).split(b"\n")
            reply = next((json.loads(line) for line in lines if line), None)
        self._bury()
        return reply

    def _bury(self) -> None:
        self._gone = True
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()
        try:
            self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _finished(key: tuple[str, ...]) -> Mapping[str, Any]:
    return {"finish": key}
