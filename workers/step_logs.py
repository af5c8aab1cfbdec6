"""Where a worker keeps what its steps print, and that it is kept."""

from __future__ import annotations

import os
import time
from typing import Any

from ..errors import UnsupportedError
from ..events.event import NewEvent
from ..events.kinds import EventKind
from ..events.run import Run
from ..instance.home import IN_A_POD_ENV
from ..instance.instance import Instance
from ..storage.compute_logs import (
    ComputeLogStore,
    Drains,
    LocalComputeLogStore,
    NoOpComputeLogStore,
    PodLogStore,
)
from ..storage.filesystem import is_pods_own

PATIENCE_ENV = "RUNPLANE_LOGS_PATIENCE"
PATIENCE_S = 30.0
"""How long a worker that is done waits for logs to be stored elsewhere while nothing gets through. The variable says otherwise."""


def usable_logs(instance: Instance, run: Run) -> ComputeLogStore:
    """The instance's compute logs; in a pod whose folder of logs would go with it, or that keeps none, the pod's own log; nowhere, with an
    event that says so, when its store can not be had here. A run is not failed for its logs."""
    logs: ComputeLogStore
    try:
        logs = instance.logs
    except UnsupportedError as e:
        _note(instance, run.run_id, f"What the steps print is not captured. {e}")
        logs = NoOpComputeLogStore()
    if IN_A_POD_ENV in instance.env and _is_nowhere_else(logs):
        return PodLogStore(instance.env.get("HOSTNAME", "its own"))
    return logs


def _is_nowhere_else(logs: ComputeLogStore) -> bool:
    """Whether what a pod prints can be read in its own log only."""
    if isinstance(logs, LocalComputeLogStore):
        return is_pods_own(logs.base_dir)
    return isinstance(logs, NoOpComputeLogStore)


def store_logs(instance: Instance, run_id: str, patience_s: float | None = None) -> None:
    """Before a worker leaves: wait until logs that are kept elsewhere are there. An event says which are not.

    Args:
        patience_s: for how long while nothing gets through; None: the usual.
    """
    try:
        logs = instance.logs
    except UnsupportedError:
        return  # said when the steps began
    if isinstance(logs, Drains):
        usual = float(os.environ.get(PATIENCE_ENV, PATIENCE_S))
        for missing in logs.drain(usual if patience_s is None else min(usual, patience_s)):
            _note(instance, run_id, missing)


def _note(instance: Instance, run_id: str, message: str) -> None:
    body: dict[str, Any] = {"message": message, "metadata": {}, "error": None}
    instance.journal.annotate(run_id, [NewEvent(EventKind.ENGINE_EVENT, None, None, body, time.time())])
