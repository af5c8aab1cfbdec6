"""One run, as storage knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from ..serdes.record import record
from .origin import JobOrigin
from .status import RunStatus


@record
class Run:
    """A run: what was asked for, and where it stands.

    Attributes:
        run_id: UUID text.
        job_name: the job's name.
        origin: where the job's code is; None for a job that lives in this process only.
        run_config: as the user gave it, env sources unresolved.
        tags: text to text.
        status: where it stands.
        op_selection: the ops asked for (queries as given), or None for all.
        step_keys: the steps asked for, or None for all.
        asset_selection: asset keys as text (``a/b``), or None.
        asset_check_selection: keys of checks as text (``a/b:check``); None with an asset selection: the checks of those assets.
        parent_run_id, root_run_id: lineage of a re-execution, both or neither.
        plan_id: id of the stored plan snapshot, once there is one.
        created_at, started_at, ended_at: storage's clock, seconds since the epoch.
    """

    run_id: str
    job_name: str
    origin: JobOrigin | None = None
    run_config: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    status: RunStatus = RunStatus.NOT_STARTED
    op_selection: tuple[str, ...] | None = None
    step_keys: tuple[str, ...] | None = None
    asset_selection: tuple[str, ...] | None = None
    parent_run_id: str | None = None
    root_run_id: str | None = None
    plan_id: str | None = None
    created_at: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    asset_check_selection: tuple[str, ...] | None = None
