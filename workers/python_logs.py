"""``python_logs`` of the instance, as the processes that run steps are told of it."""

from __future__ import annotations

import logging

from ..executors.log_settings import LogSettings
from ..instance.instance import Instance


def log_settings_of(instance: Instance) -> LogSettings:
    """What the instance says of log lines; a level's name becomes its number."""
    logs = instance.python_logs
    level = logging.getLevelName(logs.python_log_level) if logs.python_log_level else logging.NOTSET
    return LogSettings(
        logs.managed_python_loggers, level, dict(logs.handlers), dict(logs.formatters), dict(logs.filters)
    )
