"""Where a worker keeps what its steps print."""

from __future__ import annotations

import time
from typing import Any

from ..errors import UnsupportedError
from ..events.event import NewEvent
from ..events.kinds import EventKind
from ..events.run import Run
from ..instance.instance import Instance
from ..storage.compute_logs import ComputeLogStore, NoOpComputeLogStore


def usable_logs(instance: Instance, run: Run) -> ComputeLogStore:
    """The instance's compute logs; nowhere, with an event that says so, when its store is not built yet in this version. A run is
    not failed for its logs."""
    try:
        return instance.logs
    except UnsupportedError as e:
        body: dict[str, Any] = {"message": f"What the steps print is not captured. {e}", "metadata": {}, "error": None}
        instance.journal.annotate(run.run_id, [NewEvent(EventKind.ENGINE_EVENT, None, None, body, time.time())])
        return NoOpComputeLogStore()
