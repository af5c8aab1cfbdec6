"""What the processes of a run are told once. Beside ``job_program``, so that the coordinator need not load what runs user code."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path

from ...events.run import Run
from ...serdes.record import record
from ..log_settings import LogSettings


@record
class JobArgument:
    """What the processes of a run are told once.

    Attributes:
        run: the run; its origin says where the code is.
        home: the instance's folder.
        log_settings: the instance's ``python_logs``.
    """

    run: Run
    home: Path
    log_settings: LogSettings = field(default_factory=LogSettings)
