"""``context.log``: lines of user code become events of the run, and lines on stderr.

Source: https://docs.dagster.io/guides/monitor/logging; the line's form is ``time - dagster - level - job - run id - step - text``.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ..events.event import NewEvent
from ..events.kinds import EventKind
from ..events.run import Run
from .log_settings import LogSettings

Emit = Callable[[NewEvent], None]
LOGGER_NAME = "dagster"


class _RunHandler(logging.Handler):
    """Makes an event and a line of every record."""

    def __init__(self, emit_event: Emit, run: Run, step: str | None, n: int | None) -> None:
        super().__init__()
        self._emit_event = emit_event
        self._prefix = " - ".join([run.job_name, run.run_id, *([step] if step else [])])
        self._step = step
        self._n = n

    def emit(self, record: logging.LogRecord) -> None:
        """Tell the run and the terminal. What `emit_event` raises reaches user code: a step that may not write has to stop."""
        message = self.format(record)
        body = {"message": message, "level": record.levelno, "logger": record.name}
        self._emit_event(NewEvent(EventKind.LOG.value, self._step, self._n, body, record.created))
        when = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(record.created))
        sys.stderr.write(f"{when} - {record.name} - {record.levelname} - {self._prefix} - {message}\n")


def step_logger(emit: Emit, run: Run, *, step: str | None, n: int | None, level: int = logging.DEBUG) -> logging.Logger:
    """A logger for one attempt of a step. It belongs to nobody else: it has no parent and is not registered.

    Args:
        emit: takes the events.
        step, n: the attempt; None for a logger of the run.
        level: the lowest level that is kept.
    """
    logger = logging.Logger(LOGGER_NAME, level)
    logger.addHandler(_RunHandler(emit, run, step, n))
    return logger


class _Meta(logging.Filter):
    """Tells the instance's own handlers whose line it is: ``record.dagster_meta``, as in Dagster."""

    def __init__(self, run: Run, step: str | None, n: int | None) -> None:
        super().__init__()
        self._meta = {
            "run_id": run.run_id,
            "job_name": run.job_name,
            "job_tags": dict(run.tags),
            "step_key": step,
            "attempt": n,
        }

    def filter(self, record: logging.LogRecord) -> bool:
        record.dagster_meta = self._meta
        return True


@contextmanager
def listened(
    logger: logging.Logger, settings: LogSettings, run: Run, *, step: str | None, n: int | None
) -> Iterator[None]:
    """Let the instance's further handlers hear `logger`, and its named Python loggers become events like the lines of `logger`.

    Raises:
        RunplaneError: a handler can not be made.
    """
    meta = _Meta(run, step, n)
    for handler in settings.made:
        handler.addFilter(meta)
        # First in the row of filters: a filter of the user's may want to look at it.
        handler.filters.insert(0, handler.filters.pop())
        logger.addHandler(handler)
    try:
        with captured(settings.managed_loggers, logger):
            yield
    finally:
        for handler in settings.made:
            handler.removeFilter(meta)
            logger.removeHandler(handler)
        settings.flush()


@contextmanager
def captured(names: Sequence[str], logger: logging.Logger) -> Iterator[None]:
    """Let what is written to the Python loggers called `names` become events like the lines of `logger`."""
    chosen = [logging.getLogger(name) for name in names]
    before = [(one, one.level) for one in chosen]
    handlers = list(logger.handlers)
    try:
        for one in chosen:
            for handler in handlers:
                one.addHandler(handler)
            if one.level == logging.NOTSET or one.level > logger.level:
                one.setLevel(logger.level)
        yield
    finally:
        for one, level in before:
            one.setLevel(level)
            for handler in handlers:
                one.removeHandler(handler)
