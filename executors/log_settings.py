"""``python_logs`` of an instance, as the processes that run steps need it: which lines are kept, and who hears of them besides.

Source: https://docs.dagster.io/guides/monitor/logging/python-logging
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping
from dataclasses import field
from functools import cached_property
from typing import Any

from ..errors import RunplaneError
from ..serdes.record import frozen_record

_AT = "dagster.yaml: python_logs.dagster_handler_config"


@frozen_record
class LogSettings:
    """What becomes of log lines. It travels to each process once; the handlers are made there, at the first line of a step.

    Attributes:
        managed_loggers: names of Python loggers whose lines become events too; ``root`` is the root logger.
        level: number of the lowest level that is kept; 0: the run's own.
        handlers, formatters, filters: of further handlers, in the form of ``logging.config.dictConfig``.
    """

    managed_loggers: tuple[str, ...] = ()
    level: int = logging.NOTSET
    handlers: Mapping[str, Any] = field(default_factory=dict)
    formatters: Mapping[str, Any] = field(default_factory=dict)
    filters: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def made(self) -> list[logging.Handler]:
        """The further handlers, made once in a process.

        Raises:
            RunplaneError: one can not be made; its name is in the text.
        """
        if not self.handlers:
            return []
        # Not imported above: it loads sockets and queues, and each step process would pay for it.
        config = importlib.import_module("logging.config")
        # Not ``dictConfig`` itself: it closes all handlers that the process has, the user's own among them.
        maker = config.DictConfigurator(
            {"version": 1, "formatters": dict(self.formatters), "filters": dict(self.filters), "handlers": {}}
        )
        maker.config["handlers"] = dict(self.handlers)
        for kind, make in (("formatters", maker.configure_formatter), ("filters", maker.configure_filter)):
            for name in maker.config[kind]:
                maker.config[kind][name] = _made(kind, name, make, maker.config[kind][name])
        return self._handlers(maker)

    def _handlers(self, maker: Any) -> list[logging.Handler]:
        """Those that have another one as target come last."""
        handlers = maker.config["handlers"]
        order = sorted(
            handlers, key=lambda name: (isinstance(handlers[name], Mapping) and "target" in handlers[name], name)
        )
        for name in order:
            handlers[name] = _made("handlers", name, maker.configure_handler, handlers[name])
            handlers[name].set_name(name)
        return [handlers[name] for name in self.handlers]

    def flush(self) -> None:
        """Have what the handlers hold back written."""
        for handler in self.__dict__.get("made", ()):
            handler.flush()

    def close(self) -> None:
        """Close the handlers; they are made anew if they are asked for again."""
        for handler in self.__dict__.pop("made", ()):
            handler.close()

    def __getstate__(self) -> dict[str, Any]:
        """Handlers stay in their process."""
        return {name: value for name, value in self.__dict__.items() if name != "made"}


def _made(kind: str, name: str, make: Any, config: Any) -> Any:
    try:
        return make(config)
    except Exception as error:
        cause = error.__cause__ or error
        raise RunplaneError(
            f"it can not be made: {error}" + (f" ({cause})" if cause is not error else ""), where=f"{_AT}.{kind}.{name}"
        ) from error
