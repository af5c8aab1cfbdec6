"""What user code prints in a worker's own process goes to the log's files: descriptors 1 and 2 *are* the files while steps run.

So what was printed is there after ``kill -9``, and nothing of it passes through memory of ours.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

from ..events.event import NewEvent
from ..events.kinds import EventKind
from ..storage.compute_logs import ComputeLogStore, new_log_key, place_of
from .standard_streams import STANDARD, by_line, flush


class LogCapture:
    """Puts descriptors 1 and 2 on the files of a new log, and back.

    Args:
        logs: where logs are kept.
        run_id: the run.
        step_keys: the steps whose output it will hold.
    """

    def __init__(self, logs: ComputeLogStore, run_id: str, step_keys: Sequence[str]) -> None:
        self._logs = logs
        self._key = new_log_key(run_id)
        self._step_keys = list(step_keys)
        self._before: list[int] = []
        self._restore: Callable[[], None] = lambda: None

    def begin(self, step: str | None = None, n: int | None = None) -> NewEvent:
        """Redirect; return the event that says where the log is, or why there is none: no step is failed for its log."""
        try:
            files = self._logs.open(self._key)
        except OSError as e:
            message = f"What the steps print is not captured: {e}"
            return NewEvent(EventKind.ENGINE_EVENT, step, n, {"message": message, "metadata": {}}, time.time())
        flush()
        self._before = [os.dup(fd) for fd in STANDARD]
        for file, fd in zip(files, STANDARD, strict=True):
            os.dup2(file, fd)
            os.close(file)
        self._restore = by_line()
        body = {
            "message": f"Capturing logs for process (pid: {os.getpid()}).",
            "log_key": list(self._key),
            "file_key": self._key[-1],
            "step_keys": self._step_keys,
            "pid": os.getpid(),
            **place_of(self._logs),
        }
        return NewEvent(EventKind.LOGS_CAPTURED, step, n, body, time.time())

    def end(self) -> None:
        """Put the descriptors back and say that the log is complete. Nothing happens when it was not begun."""
        if not self._before:
            return
        flush()
        self._restore()
        for before, fd in zip(self._before, STANDARD, strict=True):
            os.dup2(before, fd)
            os.close(before)
        self._before = []
        self._logs.finish(self._key)
