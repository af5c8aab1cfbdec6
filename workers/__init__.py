"""What runs inside a run process, a step process, a Celery task: thin bodies of the ``api`` verbs.

Admission test: it is the life of one worker process, from its request document to its exit code. Decisions belong to ``engine``,
writes to ``storage``, user code to ``executors``.
"""

from __future__ import annotations

import importlib
from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    """``printed_events`` is loaded by the step worker that is asked for them: it brings Dagster's form of all events."""
    if name == "printed_events":
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
