"""Loggers of a job: who hears the lines of ``context.log`` besides the run's own log, chosen and configured in run config.

Source: https://docs.dagster.io/api/dagster/loggers and https://docs.dagster.io/guides/monitor/logging/custom-logging
"""

from __future__ import annotations

import inspect
import json
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors.base import ConfigErrors
from ..errors.problems import Problems
from .config_schema import Field, as_field
from .ins_outs import UNSET
from .run_config import BUILTIN

CONSOLE_SCHEMA = {"log_level": Field(str, default_value="INFO"), "name": Field(str, default_value="dagster")}
_LINE = "%(asctime)s - %(name)s - %(levelname)s - %(message)s"
_COLORS = {"DEBUG": "32", "INFO": "34", "WARNING": "33", "ERROR": "31", "CRITICAL": "31;1"}


@dataclass(frozen=True)
class InitLoggerContext:
    """What the function of a logger is given.

    Attributes:
        logger_config: its config, checked, defaults filled in.
        logger_def: its definition.
        job_def: the job; None outside a run.
        run_id: the run's id; None outside a run.
    """

    logger_config: Any = None
    logger_def: LoggerDefinition | None = None
    job_def: Any = None
    run_id: str | None = None


class LoggerDefinition:
    """How one logger is made.

    Args:
        logger_fn: from a context to a ``logging.Logger``.
        config_schema: the shape of its config.
        description: for people.
    """

    def __init__(
        self, logger_fn: Callable[..., logging.Logger], config_schema: Any = None, description: str | None = None
    ) -> None:
        self.logger_fn = logger_fn
        self.config_field: Field | None = None if config_schema in (UNSET, None) else as_field(config_schema)
        self.description = description

    @property
    def config_schema(self) -> Field | None:
        """The schema of its config."""
        return self.config_field

    def configured(
        self, config_or_config_fn: Any, config_schema: Any = UNSET, description: str | None = None
    ) -> LoggerDefinition:
        """The same logger with its config given now, or made from another config by a function."""
        by_function = callable(config_or_config_fn)

        def make(context: InitLoggerContext) -> logging.Logger:
            given = config_or_config_fn(context.logger_config) if by_function else config_or_config_fn
            return self.make(given, context.job_def, context.run_id)

        return LoggerDefinition(make, config_schema if by_function else None, description or self.description)

    def make(self, config: Any, job_def: Any = None, run_id: str | None = None) -> logging.Logger:
        """The logger with this config.

        Raises:
            ConfigErrors: the config is not right.
        """
        if self.config_field is not None:
            problems = Problems()
            config = {} if config is None else config
            config = self.config_field.config_type.read(config, problems, os.environ)
            if problems.found:
                raise ConfigErrors(problems.found, where="config of a logger")
        return self.logger_fn(InitLoggerContext(config, self, job_def, run_id))

    def __call__(self, context: InitLoggerContext) -> logging.Logger:
        """The logger, in tests: with a context from ``build_init_logger_context``."""
        return self.make(context.logger_config, context.job_def, context.run_id)


def logger(config_schema: Any = None, description: str | None = None) -> Any:
    """Make a logger definition of a function ``fn(context) -> logging.Logger``.

    Args:
        config_schema: the shape of its config (or the function, when used without parentheses).
        description: for people.
    """
    if inspect.isfunction(config_schema):
        return LoggerDefinition(config_schema, description=config_schema.__doc__)
    return lambda fn: LoggerDefinition(fn, config_schema, description or fn.__doc__)


def build_init_logger_context(logger_config: Any = None, job_def: Any = None) -> InitLoggerContext:
    """A context with which a logger is made in tests."""
    return InitLoggerContext(logger_config, job_def=job_def)


class _Colored(logging.Formatter):
    """A line; its level in color where somebody reads it on a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        color = _COLORS.get(record.levelname)
        if color is None or not sys.stderr.isatty():
            return line
        return line.replace(f" - {record.levelname} - ", f" - \x1b[{color}m{record.levelname}\x1b[0m - ", 1)


class JsonLogFormatter(logging.Formatter):
    """A line of JSON: everything that the record knows."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        text = super().format(record)
        known = {k: v for k, v in vars(record).items() if k not in ("exc_info", "stack_info")}
        return json.dumps({**known, "msg": text}, default=str)


def _on_stderr(config: Mapping[str, Any], formatter: logging.Formatter) -> logging.Logger:
    made = logging.Logger(str(config["name"]), level=logging.getLevelName(str(config["log_level"]).upper()))
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    made.addHandler(handler)
    return made


def _colored(context: InitLoggerContext) -> logging.Logger:
    return _on_stderr(context.logger_config, _Colored(_LINE, "%Y-%m-%d %H:%M:%S %z"))


def _json(context: InitLoggerContext) -> logging.Logger:
    return _on_stderr(context.logger_config, JsonLogFormatter())


colored_console_logger = LoggerDefinition(_colored, CONSOLE_SCHEMA, "Lines on stderr.")
json_console_logger = LoggerDefinition(_json, CONSOLE_SCHEMA, "Lines of JSON on stderr.")


def default_loggers() -> Mapping[str, LoggerDefinition]:
    """The loggers of a job that has none of its own."""
    return {"console": colored_console_logger}


def default_system_loggers(instance: Any = None) -> Sequence[tuple[LoggerDefinition, Mapping[str, Any]]]:
    """The loggers, with their config, of a run whose config chooses none."""
    return [(colored_console_logger, {"name": "dagster", "log_level": "DEBUG"})]


def get_dagster_logger(name: str | None = None) -> logging.Logger:
    """A Python logger whose lines become lines of the run, wherever in user code it is used."""
    made = logging.getLogger(BUILTIN if name is None else f"{BUILTIN}.{name}")
    logging.getLogger(BUILTIN).setLevel(logging.DEBUG)
    return made
