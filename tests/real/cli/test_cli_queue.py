"""What the command says of the queue, and of the daemon that is to serve it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from runplane.engine.snapshot import PlanSnapshot, StepPlan
from runplane.events.origin import FileCodePointer, JobOrigin, RepositoryOrigin
from runplane.events.status import RunStatus
from runplane.instance.instance import Instance, RunRequest

PLAN = PlanSnapshot("job", (StepPlan("a", "a", "a"),))
ORIGIN = JobOrigin("job", RepositoryOrigin(sys.executable, FileCodePointer("/nowhere.py", "job")))
NOBODY = "No daemon serves the queue. Start one: runplane daemon run"


@pytest.fixture
def waiting(home: Path) -> list[str]:
    """Runs in the queue, in the order in which they are to start."""
    (home / "dagster.yaml").write_text("run_queue: {tag_concurrency_limits: [{key: team, limit: 0}]}\n")
    tags = [{"dagster/priority": "5"}, {}, {"team": "x"}]
    with Instance.from_home(home) as instance:
        second, third = (instance.submit(RunRequest("job", plan=PLAN, tags=t)).run_id for t in tags[1:])
        first = instance.submit(RunRequest("urgent", plan=PLAN, tags=tags[0])).run_id
    return [first, second, third]


def test_runs_that_wait_are_listed_in_their_order_with_what_keeps_each(waiting: list[str], runplane) -> None:
    listed = runplane("run", "list", "--queued").stdout.splitlines()
    document = json.loads(runplane("run", "list", "--queued", "--json").stdout)["runs"]

    assert [line.split()[:3] for line in listed] == [
        ["1", waiting[0][:8], "urgent"],
        ["2", waiting[1][:8], "job"],
        ["3", waiting[2][:8], "job"],
    ]
    assert listed[0].endswith(f"priority 5  {NOBODY}")
    assert [(run["run_id"], run["position"]) for run in document] == [(r, n) for n, r in enumerate(waiting, 1)]
    assert [blocker["text"] for blocker in document[1]["blocked_by"]] == [NOBODY]
    assert len(document[2]["blocked_by"]) == 2
    assert "team" in document[2]["blocked_by"][1]["text"]


def test_a_run_that_waits_is_shown_with_its_place_and_what_keeps_it(waiting: list[str], runplane) -> None:
    shown = runplane("run", "show", waiting[2]).stdout

    assert "at position 3." in shown
    assert NOBODY in shown
    assert "team" in shown


@pytest.mark.parametrize(
    ("yaml", "status"),
    [
        ("", RunStatus.STARTING),
        ("run_queue: {max_concurrent_runs: 3}", RunStatus.QUEUED),
        ("concurrency: {runs: {max_concurrent_runs: 3}}", RunStatus.QUEUED),
        ("concurrency: {runs: {tag_concurrency_limits: []}}", RunStatus.QUEUED),
        ("run_coordinator: {module: dagster, class: QueuedRunCoordinator}", RunStatus.QUEUED),
        ("run_coordinator: {module: dagster.core.run_coordinator, class: DefaultRunCoordinator}", RunStatus.STARTING),
        ("concurrency: {pools: {default_limit: 2}}", RunStatus.STARTING),
    ],
)
def test_what_a_file_says_of_runs_asks_for_the_queue(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, yaml: str, status: RunStatus
) -> None:
    (tmp_path / "no_launcher_here.py").write_text(NO_LAUNCHER)
    monkeypatch.syspath_prepend(str(tmp_path))
    (home / "dagster.yaml").write_text(f"run_launcher: {{module: no_launcher_here, class: NoLauncher}}\n{yaml}\n")

    with Instance.from_home(home) as instance:
        run = instance.submit(RunRequest("job", ORIGIN, PLAN))

    assert run.status is status


NO_LAUNCHER = """
from runplane.launchers.contract import TerminateResult, WorkerHandle

class NoLauncher:
    def launch(self, request):
        return WorkerHandle("none", {})

    def terminate(self, run_id, handle):
        return TerminateResult.DELIVERED
"""


def test_a_file_that_asks_for_loops_of_a_later_version_is_told_so_at_the_start(home: Path, runplane) -> None:
    (home / "dagster.yaml").write_text("schedules: {use_threads: true}\nsensors: {use_threads: true}\n")

    done = runplane("daemon", "run")

    assert done.exit_code == 2
    assert [line for line in done.stderr.splitlines() if line.startswith("warning: ")] == [
        "warning: sensors: has no effect yet: the sensor loop comes with a later version",
        "warning: schedules: has no effect yet: the schedule loop comes with a later version",
    ]
    assert "A queue is asked for by `run_queue`." in done.stderr
