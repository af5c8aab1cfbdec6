"""What the processes of a run are told once. Beside ``job_program``, so that the coordinator need not load what runs user code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...events.run import Run


@dataclass(frozen=True, slots=True)
class JobArgument:
    """What the processes of a run are told once.

    Attributes:
        run: the run; its origin says where the code is.
        home: the instance's folder.
        managed_loggers: names of Python loggers whose lines become events.
    """

    run: Run
    home: Path
    managed_loggers: tuple[str, ...] = ()
