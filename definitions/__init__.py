"""What users write: op, graph, job, resource, config, IO manager contract, retry policy, executor definition.

Admission test: a user names it in their own file. It describes and never runs: it opens no database and starts no process.
"""

from __future__ import annotations

import importlib
from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    """``event_data`` is loaded by the first result whose events are looked at: its classes of metadata are a twentieth of the start of a
    step, which has no use for them."""
    if name == "event_data":
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
