"""``context.log``: lines of user code become events of the run, and lines on stderr.

Source: https://docs.dagster.io/guides/monitor/logging; the line's form is ``time - dagster - level - job - run id - step - text``.
"""

from __future__ import annotations

import copy
import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from ..definitions.job import JobDefinition
from ..definitions.run_config import BUILTIN, CONSOLE
from ..events.event import NewEvent, cut_text
from ..events.kinds import EventKind
from ..events.run import Run
from .log_settings import LogSettings

Emit = Callable[[NewEvent], None]
LOGGER_NAME = "dagster"
_OF_LOGGERS = f"{__name__.partition('.')[0]}.definitions.logger"


class _RunHandler(logging.Handler):
    """Makes an event of every record."""

    def __init__(self, emit_event: Emit, step: str | None, n: int | None) -> None:
        super().__init__()
        self._emit_event = emit_event
        self._step = step
        self._n = n

    def emit(self, record: logging.LogRecord) -> None:
        """Tell the run. What `emit_event` raises reaches user code: a step that may not write has to stop."""
        body = {"message": cut_text(self.format(record)), "level": record.levelno, "logger": record.name}
        self._emit_event(NewEvent(EventKind.LOG.value, self._step, self._n, body, record.created))


class _Console(logging.Handler):
    """Writes a line of every record to stderr."""

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self.prefix = prefix
        self.named: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        when = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(record.created))
        name = self.named or record.name
        sys.stderr.write(f"{when} - {name} - {record.levelname} - {self.prefix} - {self.format(record)}\n")


class _ToLogger(logging.Handler):
    """Passes every record on to a logger of the user's, with the run, the step and the text in one line."""

    def __init__(self, target: logging.Logger, prefix: str, meta: Mapping[str, Any]) -> None:
        super().__init__()
        self._target = target
        self._prefix = prefix
        self._meta = meta

    def emit(self, record: logging.LogRecord) -> None:
        """Have the logger handle a copy."""
        if self._target.isEnabledFor(record.levelno):
            passed = copy.copy(record)
            passed.name = self._target.name
            passed.msg, passed.args = f"{self._prefix} - {record.getMessage()}", None
            passed.dagster_meta = self._meta
            self._target.handle(passed)


def step_logger(emit: Emit, run: Run, *, step: str | None, n: int | None, level: int = logging.DEBUG) -> logging.Logger:
    """A logger for one attempt of a step. It belongs to nobody else: it has no parent and is not registered.

    Args:
        emit: takes the events.
        step, n: the attempt; None for a logger of the run.
        level: the lowest level that is kept; 0: all.
    """
    logger = logging.Logger(LOGGER_NAME, level or logging.DEBUG)
    logger.addHandler(_RunHandler(emit, step, n))
    logger.addHandler(_Console(_prefix(run, step)))
    return logger


def choose_loggers(
    logger: logging.Logger,
    job: JobDefinition,
    chosen: Mapping[str, Any],
    run: Run,
    *,
    step: str | None,
    n: int | None,
) -> None:
    """Have those hear `logger` that run config chose: the console at another level, or the job's own loggers in its place.

    Args:
        chosen: config by key of the loggers that run config names.

    Raises:
        Whatever the function of a logger raises.
    """
    if not chosen:
        return
    console = next(h for h in logger.handlers if isinstance(h, _Console))
    if not job.logger_defs:
        console.setLevel(chosen[CONSOLE]["log_level"])
        console.named = chosen[CONSOLE]["name"]
        return
    logger.removeHandler(console)
    for key, config in chosen.items():
        target = job.logger_defs[key].make(config, job, run.run_id)
        logger.addHandler(_ToLogger(target, console.prefix, _meta_of(run, step, n)))


def _prefix(run: Run, step: str | None) -> str:
    return " - ".join([run.job_name, run.run_id, *([step] if step else [])])


def _meta_of(run: Run, step: str | None, n: int | None) -> dict[str, Any]:
    """Whose line it is, as in Dagster."""
    return {
        "run_id": run.run_id,
        "job_name": run.job_name,
        "job_tags": dict(run.tags),
        "step_key": step,
        "attempt": n,
    }


class _Meta(logging.Filter):
    """Tells the instance's own handlers whose line it is: ``record.dagster_meta``, as in Dagster."""

    def __init__(self, run: Run, step: str | None, n: int | None) -> None:
        super().__init__()
        self._meta = _meta_of(run, step, n)

    def filter(self, record: logging.LogRecord) -> bool:
        record.dagster_meta = self._meta
        return True


def listened(
    logger: logging.Logger, settings: LogSettings, run: Run, *, step: str | None, n: int | None
) -> AbstractContextManager[None]:
    """Let the instance's further handlers hear `logger`, and its named Python loggers become events like the lines of `logger`.

    Raises:
        RunplaneError: a handler can not be made.
    """
    # Who can ask for the logger whose lines are always the run's has loaded its module.
    if not settings.made and not settings.managed_loggers and _OF_LOGGERS not in sys.modules:
        return nullcontext()
    return _listened(logger, settings, run, step, n)


@contextmanager
def _listened(
    logger: logging.Logger, settings: LogSettings, run: Run, step: str | None, n: int | None
) -> Iterator[None]:
    meta = _Meta(run, step, n)
    for handler in settings.made:
        handler.addFilter(meta)
        # First in the row of filters: a filter of the user's may want to look at it.
        handler.filters.insert(0, handler.filters.pop())
        logger.addHandler(handler)
    try:
        with captured((*settings.managed_loggers, BUILTIN), logger):
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
