"""Where a run's steps live: THE loop (`driver`), and small step runners under it.

Admission test: it starts steps, watches them and stops them. What comes next is decided by `engine`; what is remembered is
kept by `storage`.
"""

from __future__ import annotations

import importlib
from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    """``awaiting`` is loaded by the first asynchronous op: it brings asyncio, a sixth of the start of a step. ``step_hooks`` by the
    first step that has hooks. ``foreign_run`` by the first op that starts a Job: it needs the Kubernetes client, which its definition does
    not. ``spooled_streams`` by the first log in memory, ``pod_output`` by a run whose steps print to their pod."""
    if name in ("awaiting", "foreign_run", "pod_output", "spooled_streams", "step_hooks"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
