"""The process that submits a run of the tier A job, and may be killed on the way: ``python -m runplane.testing.tier_a_submit JOB RUN_ID``.

``RUNPLANE_CRASH_AT`` is this process' own: the worker that it launches does not inherit it.
"""

from __future__ import annotations

import os
import sys

from ..instance.instance import Instance, RunRequest
from ..instance.wire import set_run_here
from ..workers.run import execute_run
from .crashing import CRASH_AT_ENV
from .tier_a import plan_and_origin


def main(job: str, run_id: str) -> None:
    """Submit the run as ``runplane job launch`` does."""
    plan, origin = plan_and_origin(job)
    with Instance.get() as instance:
        set_run_here(lambda launched: _run(instance, launched))
        # Opened here, with the crash point in sight.
        instance.journal.database.where  # noqa: B018
        os.environ.pop(CRASH_AT_ENV, None)
        instance.submit(RunRequest(job, origin, plan, run_id=run_id))


def _run(instance: Instance, run_id: str) -> None:
    execute_run(instance, run_id)


if __name__ == "__main__":
    main(*sys.argv[1:])
