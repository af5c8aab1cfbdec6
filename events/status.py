"""Run statuses, with Dagster's names and groups.

Source: https://docs.dagster.io/api/dagster/internals (DagsterRunStatus).
"""

from enum import Enum


class RunStatus(str, Enum):
    """Where a run stands. The arcs between statuses are data: ``engine/arcs.py``."""

    NOT_STARTED = "NOT_STARTED"
    QUEUED = "QUEUED"
    STARTING = "STARTING"
    STARTED = "STARTED"
    CANCELING = "CANCELING"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    CANCELED = "CANCELED"
    SUSPENDED = "SUSPENDED"
    """Dagster's; read, never written by us."""
    MANAGED = "MANAGED"
    """Dagster's, for runs that another system drives; read, never written by us."""

    @property
    def is_final(self) -> bool:
        """Whether nothing may change this status any more."""
        return self in FINAL

    def __str__(self) -> str:
        return self.value


FINAL = frozenset({RunStatus.SUCCESS, RunStatus.FAILURE, RunStatus.CANCELED})
ACTIVE = frozenset({RunStatus.STARTING, RunStatus.STARTED, RunStatus.CANCELING})
"""Counts against ``max_concurrent_runs``."""
