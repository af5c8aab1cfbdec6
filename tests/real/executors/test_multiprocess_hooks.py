"""Hooks in processes of their own: what they say is kept even when the run is over before they are."""

from __future__ import annotations

from pathlib import Path

from runplane.events.status import RunStatus
from services.system import System

CODE = """
import time
from runplane import job, multiprocess_executor, op, success_hook

@success_hook
def slow(context):
    while not (FOLDER / "over").exists():
        time.sleep(0.05)
    context.log.info("heard of the end")

@op
def one():
    return 1

@job(hooks={slow}, executor_def=multiprocess_executor)
def hooked():
    one()
"""


def test_a_hook_that_outlasts_its_run_is_waited_for_and_heard(tmp_path: Path) -> None:
    system = System(tmp_path, f"from pathlib import Path\nFOLDER = Path({str(tmp_path)!r})\n{CODE}")
    run_id = system.create("hooked")
    worker = system.worker(run_id)
    system.wait_for_status(run_id, RunStatus.SUCCESS)

    (tmp_path / "over").touch()
    assert worker.wait(timeout=60) == 0

    kinds = [e.kind for e in system.events(run_id)]
    assert kinds.index("RUN_SUCCESS") < kinds.index("LOG") < kinds.index("HOOK_COMPLETED")
    system.close()
