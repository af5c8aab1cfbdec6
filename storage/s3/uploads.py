"""The uploader's work: each log that grows is looked at every few seconds, each that is complete is stored whole.

A failed step is done again, less and less often, without end: the files on the local disk are the truth, and an outage of the service
costs delay. What is in memory is a piece or a few parts per thread, whatever the size of a log.
"""

from __future__ import annotations

import heapq
import itertools
import os
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ...serdes.record import record
from ..compute_logs import LogsUnavailableError, Stream
from . import room
from .layout import PIECE_BYTES, Layout
from .settings import S3Settings

LONGEST_PAUSE_S = 30.0
FIRST_PAUSE_S = 0.5
WHOLE_AT_ONCE_BYTES = PIECE_BYTES
ROOM_LOOK_S = 0.1
"""How often a log in memory is looked at: somebody may wait for room."""
STREAMS: tuple[Stream, Stream] = ("out", "err")


class Bucket(Protocol):
    """What is used of ``objects.Objects``. Every method raises an exception when the service does not do it."""

    def put(self, path: str, data: bytes) -> None:
        """Store an object whole."""

    def put_parts(self, path: str, size: int, parts: Iterator[bytes]) -> None:
        """Store an object of so many bytes."""

    def get(self, path: str, offset: int, max_bytes: int) -> tuple[bytes, int] | None:
        """Bytes of an object, and its size; None when it is not there."""

    def delete(self, paths: list[str]) -> None:
        """Remove objects."""


@record
class Missing:
    """A log that is not stored whole.

    Attributes:
        log_key: which.
        bytes: how many were printed.
        paths: the files that hold them, on the uploader's machine.
        why: what the service said last.
    """

    log_key: tuple[str, ...]
    bytes: int
    paths: tuple[str, ...]
    why: str


@dataclass(eq=False)
class _Capture:
    """One log, and how far it is stored.

    Attributes:
        files: the local files, opened: who removes them does no harm.
        in_memory: what is stored is freed.
        complete: nothing more will be printed.
        done_to: per stream, how many bytes are in pieces.
        freed_to: per stream, how many of these are in pieces only.
        streamed_at: when its last bytes were stored, on the monotonic clock.
        whole: the streams that are stored whole.
        stored: all of it is, and marked as complete.
        due: when it is looked at next.
        failures: how often in a row it could not be brought further.
        why: what the service said last.
    """

    layout: Layout
    paths: dict[Stream, str]
    files: dict[Stream, int]
    in_memory: bool = False
    complete: bool = False
    done_to: dict[Stream, int] = field(default_factory=lambda: dict.fromkeys(STREAMS, 0))
    freed_to: dict[Stream, int] = field(default_factory=lambda: dict.fromkeys(STREAMS, 0))
    streamed_at: float = field(default_factory=time.monotonic)
    whole: set[Stream] = field(default_factory=set)
    stored: bool = False
    due: float = 0.0
    failures: int = 0
    why: str = ""

    def size(self, stream: Stream) -> int:
        return os.fstat(self.files[stream]).st_size if stream in self.files else 0

    @property
    def is_long_work(self) -> bool:
        """Whether its next step sends more than a few pieces."""
        return self.complete and not self.stored and any(self.size(s) > WHOLE_AT_ONCE_BYTES for s in STREAMS)


class Uploads:
    """Brings logs to the bucket.

    Args:
        settings: of the bucket.
        bucket: makes the bucket's objects. It is tried again when it raises: credentials may come later.
    """

    def __init__(self, settings: S3Settings, bucket: Callable[[], Bucket]) -> None:
        self._settings = settings
        self._make_bucket = bucket
        self._bucket: Bucket | None = None
        self._captures: dict[tuple[str, ...], _Capture] = {}
        self._due: list[tuple[float, int, _Capture]] = []
        self._count = itertools.count()
        self._busy: set[_Capture] = set()
        self._changed = threading.Condition()
        self._progress = time.monotonic()
        self._said = ""
        # Two: while one stores a long log whole, the other keeps those that grow going.
        for long_work_too in (True, False):
            threading.Thread(target=self._work, args=(long_work_too,), daemon=True).start()

    def open(self, log_key: Sequence[str], paths: dict[Stream, str], *, in_memory: bool = False) -> None:
        """Follow two files. Of files that are not on this machine (any more) only the mark is stored, at the end.

        Args:
            in_memory: they are in ``memory_spool``: what is stored is freed, and who prints waits for that.
        """
        key = tuple(log_key)
        with self._changed:
            if key in self._captures:
                return
            files: dict[Stream, int] = {}
            for stream, path in paths.items():
                with suppress(FileNotFoundError):
                    files[stream] = os.open(path, os.O_RDWR if in_memory else os.O_RDONLY)
            capture = _Capture(Layout(self._settings.folder, key), paths, files, in_memory)
            if in_memory:
                for stream, fd in files.items():
                    room.attend(fd)
                    # Another uploader may have been here before.
                    freed_to = room.freed_to(fd) // PIECE_BYTES * PIECE_BYTES
                    capture.done_to[stream] = capture.freed_to[stream] = freed_to
            self._captures[key] = capture
            self._put_off(capture, self._look_s(capture))

    def finish(self, log_key: Sequence[str]) -> None:
        """Nothing more comes: store it whole, at once."""
        with self._changed:
            capture = self._captures.get(tuple(log_key))
            if capture is not None and not capture.complete:
                capture.complete, capture.failures = True, 0
                self._put_off(capture, 0.0)

    def end(self, patience_s: float, still_at_it: Callable[[], None] = lambda: None) -> list[Missing]:
        """Finish everything, as long as something gets through every `patience_s` seconds; return what is missing then.

        Args:
            still_at_it: called again and again meanwhile.
        """
        with self._changed:
            for key in list(self._captures):
                self.finish(key)
            self._progress = time.monotonic()
            while self._captures:
                left = self._progress + patience_s - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(min(left, 0.5))
                still_at_it()
            return [self._missing(c) for c in self._captures.values() if not c.stored]

    # Threads ----------------------------------------------------------------------------------------------------------------

    def _work(self, long_work_too: bool) -> None:
        while True:
            capture = self._next(long_work_too)
            try:
                again_in = self._step(capture)
            except Exception as error:  # noqa: BLE001 - whatever the client raises is an outage: it is tried again
                again_in = self._failed(capture, error)
            else:
                capture.failures, capture.why = 0, ""
            with self._changed:
                self._busy.discard(capture)
                if again_in is None:
                    del self._captures[capture.layout.log_key]
                    for fd in capture.files.values():
                        os.close(fd)
                else:
                    self._put_off(capture, 0.0 if capture.complete and not capture.failures else again_in)
                self._changed.notify_all()

    def _next(self, long_work_too: bool) -> _Capture:
        """Wait for the log that is due longest."""
        with self._changed:
            while True:
                now, not_mine = time.monotonic(), []
                found: _Capture | None = None
                while found is None and self._due and self._due[0][0] <= now:
                    due, _, capture = heapq.heappop(self._due)
                    if due != capture.due or capture in self._busy:
                        continue  # it is due at another time, or will be put off when its present step is done
                    if capture.is_long_work and not long_work_too:
                        not_mine.append(capture)
                    else:
                        found = capture
                pause = self._due[0][0] - now if self._due else None
                for capture in not_mine:
                    heapq.heappush(self._due, (capture.due, next(self._count), capture))
                if found is not None:
                    self._busy.add(found)
                    return found
                self._changed.wait(pause)

    def _put_off(self, capture: _Capture, seconds: float) -> None:
        capture.due = time.monotonic() + seconds
        heapq.heappush(self._due, (capture.due, next(self._count), capture))
        self._changed.notify_all()

    def _step(self, capture: _Capture) -> float | None:
        """Do what is due; seconds until the next time, or None when all is done."""
        if not capture.complete:
            is_due = time.monotonic() - capture.streamed_at >= self._settings.upload_every_s
            for stream in STREAMS:
                self._stream(capture, stream, is_due=is_due or not capture.in_memory)
            if is_due:
                capture.streamed_at = time.monotonic()
            return self._look_s(capture)
        if not capture.stored:
            for stream in STREAMS:
                self._store_whole(capture, stream)
            self._objects().put(capture.layout.mark, b"")
            self._remove_local(capture)
            with self._changed:
                capture.stored = True
                self._advanced()
        self._remove_pieces(capture)
        return None

    def _look_s(self, capture: _Capture) -> float:
        """How long what is printed now may stay unseen: of a log in memory somebody may wait for room."""
        every_s = self._settings.upload_every_s
        return min(every_s, ROOM_LOOK_S) if capture.in_memory else every_s

    def _stream(self, capture: _Capture, stream: Stream, *, is_due: bool) -> None:
        """Store what is new: the rest of the piece that was begun, and further pieces; as long as it is not due, full pieces only."""
        size = capture.size(stream)
        if not is_due:
            size = size // PIECE_BYTES * PIECE_BYTES
        while capture.done_to[stream] < size and not capture.complete:
            begin = capture.done_to[stream] // PIECE_BYTES * PIECE_BYTES
            data = os.pread(capture.files[stream], PIECE_BYTES, begin)
            self._objects().put(capture.layout.piece(stream, begin), data)
            capture.done_to[stream] = begin + len(data)
            self._advanced()
            if capture.in_memory and len(data) == PIECE_BYTES:
                room.free(capture.files[stream], begin, PIECE_BYTES)
                capture.freed_to[stream] = begin + PIECE_BYTES

    def _store_whole(self, capture: _Capture, stream: Stream) -> None:
        if stream in capture.whole or stream not in capture.files:
            return
        size, fd = capture.size(stream), capture.files[stream]
        if size == 0 and self._settings.skip_empty:
            return
        path = capture.layout.whole(stream)
        if size <= WHOLE_AT_ONCE_BYTES and not capture.freed_to[stream]:
            self._objects().put(path, os.pread(fd, size, 0))
        else:
            with closing(self._parts(capture, stream, size)) as parts:
                self._objects().put_parts(path, size, parts)
        capture.whole.add(stream)
        self._advanced()

    def _parts(self, capture: _Capture, stream: Stream, size: int) -> Generator[bytes, None, None]:
        """A whole log: from its pieces what was freed, the rest from its file."""
        freed_to = capture.freed_to[stream]
        # The client can not be asked from within one of its own calls, so that is done by another thread, a piece ahead.
        with ThreadPoolExecutor(1) as reader:
            coming: Future[bytes] | None = None
            for at in range(0, freed_to, PIECE_BYTES):
                before, coming = coming, reader.submit(self._piece, capture.layout.piece(stream, at))
                if before is not None:
                    yield before.result()
                    self._advanced()
            if coming is not None:
                yield coming.result()
                self._advanced()
        for at in range(freed_to, size, PIECE_BYTES):
            yield os.pread(capture.files[stream], min(PIECE_BYTES, size - at), at)
            self._advanced()

    def _piece(self, name: str) -> bytes:
        found = self._objects().get(name, 0, PIECE_BYTES)
        if found is None or len(found[0]) != PIECE_BYTES:
            raise LogsUnavailableError("a piece that was stored is not there any more", where=name)
        return found[0]

    def _remove_pieces(self, capture: _Capture) -> None:
        layout = capture.layout
        pieces = [layout.piece(s, at) for s in STREAMS for at in range(0, capture.done_to[s], PIECE_BYTES)]
        if pieces:
            self._objects().delete(pieces)

    def _remove_local(self, capture: _Capture) -> None:
        for path in capture.paths.values():
            with suppress(FileNotFoundError):
                os.unlink(path)
        with suppress(FileNotFoundError):
            os.unlink(Path(capture.paths["out"]).with_suffix(".complete"))

    def _objects(self) -> Bucket:
        if self._bucket is None:
            self._bucket = self._make_bucket()
        return self._bucket

    def _advanced(self) -> None:
        self._progress = time.monotonic()

    def _failed(self, capture: _Capture, error: Exception) -> float:
        capture.failures += 1
        capture.why = f"{error}"
        if self._said != capture.why:
            # Once for each new story, in the worker's own log: the run's events get it at the end, if it lasts.
            self._said = capture.why
            with suppress(OSError):
                # Whoever listened may be gone.
                os.write(2, f"runplane: what steps print is kept on this machine for now: {capture.why}\n".encode())
        pause: float = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (capture.failures - 1))
        return pause

    def _missing(self, capture: _Capture) -> Missing:
        sizes = {stream: capture.size(stream) for stream in STREAMS}
        return Missing(
            capture.layout.log_key,
            sum(sizes.values()),
            tuple(capture.paths[s] for s in STREAMS if sizes[s]),
            capture.why or "the service has not answered yet",
        )


def as_json(missing: Sequence[Missing]) -> list[dict[str, Any]]:
    """For the reply to the worker."""
    return [{"log_key": m.log_key, "bytes": m.bytes, "paths": m.paths, "why": m.why} for m in missing]
