"""What the processes of a pod's steps print: passed on to the pod's own log, and the end of it kept.

All steps of such a pod share its log, and nobody in the pod may read that. So each of them prints into pipes, out of which the coordinator
writes to its own stdout and stderr: when a step fails, or its process dies, what it printed last can be told. Who prints faster than the
pod's log takes it waits, as it would without this.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from selectors import EVENT_READ

from ..kube.printed import LOG_LINES, told_last, without_secrets
from ..storage.contract import AttemptRef
from .loop import Loop
from .standard_streams import STANDARD

KEPT_BYTES = 64 * 1024
_READ_BYTES = 64 * 1024


class PodOutput:
    """See the module. Its thread begins with the first attempt.

    Args:
        failed: told what ended the thread: nothing that steps print is taken any more, and they wait.
        targets: where it goes: two descriptors, this process' stdout and stderr.
    """

    def __init__(self, failed: Callable[[BaseException], None], targets: tuple[int, int] = STANDARD) -> None:
        self._targets = targets
        self._loop = Loop("pod-output", lambda: None, failed)
        self._lock = threading.Lock()
        self._printed: dict[AttemptRef, _Printed] = {}
        self._open: set[_Pipe] = set()
        self._pending: deque[tuple[int, bytes]] = deque()

    def open(self, ref: AttemptRef) -> tuple[int, int]:
        """Two descriptors to be the stdout and stderr of the attempt's process; the caller closes them. Raises OSError."""
        printed = self._printed[ref] = _Printed()
        pipes, ends = [], []
        for target in self._targets:
            source, end = os.pipe()
            os.set_blocking(source, False)
            pipes.append(_Pipe(source, target, printed))
            ends.append(end)
        with self._lock:
            printed.pipes = tuple(pipes)
            self._open.update(pipes)
        self._loop.start()
        self._loop.post(lambda: self._attend(pipes))
        out, err = ends
        return out, err

    def last(self, ref: AttemptRef) -> str:
        """The last lines of what the attempt has printed so far, secrets masked, with the words before them; empty: it printed nothing."""
        with self._lock:
            printed = self._printed.get(ref)
            if printed is None:
                return ""
            # What it printed before it told what this is asked for is in the pipes.
            for pipe in printed.pipes:
                self._read(pipe)
            text = printed.lines()
        self._loop.post(self._pass_on)
        return told_last(without_secrets(text))

    def forget(self, ref: AttemptRef) -> None:
        """Nobody asks about it any more. What it left behind may still print."""
        with self._lock:
            self._printed.pop(ref, None)

    def close(self) -> None:
        """All processes are gone: pass on what they have printed."""
        self._loop.close(self._end)

    # In its thread ------------------------------------------------------------------------------------------------------------

    def _attend(self, pipes: list[_Pipe]) -> None:
        for pipe in pipes:
            self._loop.wait_for(pipe.source, EVENT_READ, partial(self._on_ready, pipe))

    def _on_ready(self, pipe: _Pipe, _: int) -> None:
        with self._lock:
            goes_on = self._read(pipe)
        self._pass_on()
        if not goes_on:
            self._release(pipe)

    def _pass_on(self) -> None:
        """Outside of the lock: the pod's log may take its time."""
        while self._pending:
            target, data = self._pending.popleft()
            try:
                while data:
                    data = data[os.write(target, data) :]
            except OSError:
                continue  # nobody reads it any more; no run is failed for its log

    def _release(self, pipe: _Pipe) -> None:
        self._loop.wait_for(pipe.source, 0, lambda _: None)
        with self._lock:
            self._open.discard(pipe)
            os.close(pipe.source)
            pipe.source = -1

    def _end(self) -> None:
        for pipe in list(self._open):
            with self._lock:
                self._read(pipe)
            self._pass_on()
            self._release(pipe)
        self._loop.end()

    # With the lock ------------------------------------------------------------------------------------------------------------

    def _read(self, pipe: _Pipe) -> bool:
        """Take what is there, as much as a pipe holds. False: nobody writes to it any more."""
        if pipe.source < 0:
            return False
        try:
            data = os.read(pipe.source, _READ_BYTES)
        except BlockingIOError:
            return True
        if data:
            pipe.printed.add(data)
            self._pending.append((pipe.target, data))
        return bool(data)


class _Pipe:
    """`source`: the end that is read; -1: closed."""

    def __init__(self, source: int, target: int, printed: _Printed) -> None:
        self.source = source
        self.target = target
        self.printed = printed


class _Printed:
    """The end of what one attempt printed, both streams as they came."""

    def __init__(self) -> None:
        self.pipes: tuple[_Pipe, ...] = ()
        self._kept = bytearray()
        self._is_cut = False

    def add(self, data: bytes) -> None:
        self._kept += data
        if len(self._kept) > 2 * KEPT_BYTES:
            del self._kept[:-KEPT_BYTES]
            self._is_cut = True

    def lines(self) -> str:
        """The last of them; a line whose beginning is not kept is left out, as it may be a part of a secret."""
        kept = bytes(self._kept)
        if self._is_cut:
            kept = kept.partition(b"\n")[2]
        return "\n".join(kept.decode(errors="replace").rstrip().split("\n")[-LOG_LINES:])
