"""A launcher in Dagster's manner, and what it calls of its instance."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from runplane.errors import NotFoundError, RunplaneError
from runplane.events.dagster_view import entries_of
from runplane.events.origin import FileCodePointer, JobOrigin, RepositoryOrigin
from runplane.instance.instance import Instance, RunRequest
from runplane.launchers.contract import HealthState, WorkerHandle
from runplane.launchers.dagster_contract import CheckRunHealthResult, LaunchRunContext, RunLauncher, WorkerStatus

ORIGIN = JobOrigin("job", RepositoryOrigin("/py", FileCodePointer("f.py", "defs")))
YAML = f"run_launcher: {{module: {__name__}, class: TalkingLauncher}}"


class TalkingLauncher(RunLauncher):
    """Reports what it does, as those of Dagster's family do."""

    disposed = 0

    def launch_run(self, context: LaunchRunContext) -> None:
        run = context.dagster_run
        assert self._instance.get_run_by_id(run.run_id).job_name == run.job_name
        data = SimpleNamespace(
            metadata={"job": SimpleNamespace(value="j-1"), "ref": type(self._instance.get_ref()).__name__}
        )
        self._instance.report_engine_event("Creating worker", run, data, cls=self.__class__)

    def terminate(self, run_id: str) -> bool:
        run = self._instance.get_run_by_id(run_id)
        self._instance.report_engine_event("Received termination request.", run, cls=self.__class__)
        return not run.is_finished

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: Any) -> CheckRunHealthResult:
        return CheckRunHealthResult(WorkerStatus.RUNNING)

    def dispose(self) -> None:
        TalkingLauncher.disposed += 1


@pytest.fixture
def instance(tmp_path: Any) -> Any:
    with Instance.from_yaml(YAML, tmp_path) as made:
        yield made


def notes(instance: Instance, run_id: str) -> list[Any]:
    return [e for e in instance.tail(run_id) if e.body.get("reported")]


def test_what_the_launcher_reports_is_in_the_runs_log(instance: Instance) -> None:
    run = instance.submit(RunRequest("job", ORIGIN))
    instance.terminate_worker(run.run_id)

    created, received = notes(instance, run.run_id)

    assert created.body["message"] == "[TalkingLauncher] Creating worker"
    assert created.body["metadata"] == {"job": "j-1", "ref": "InstanceRef"}
    assert received.body["message"] == "[TalkingLauncher] Received termination request."
    assert '"user_message": ""' in next(iter(entries_of(created, "job")))


def test_an_event_may_be_of_a_step_and_have_an_error(instance: Instance) -> None:
    run = instance.create(RunRequest("job", ORIGIN))
    data = SimpleNamespace(error=ValueError("no such node"), marker_start="pods", marker_end=None)

    instance.report_engine_event("Pod failed", engine_event_data=data, step_key="a", run_id=run.run_id)

    (event,) = notes(instance, run.run_id)
    assert (event.step, event.body["marker_start"]) == ("a", "pods")
    assert event.body["error"]["message"] == "ValueError: no such node\n"


def test_an_event_of_no_run_is_refused(instance: Instance) -> None:
    with pytest.raises(RunplaneError, match="belongs to a run"):
        instance.report_engine_event("lost")
    with pytest.raises(NotFoundError):
        instance.report_engine_event("lost", run_id="00000000-0000-4000-8000-000000000000")
    assert instance.get_run_by_id("00000000-0000-4000-8000-000000000000") is None


def test_closing_the_instance_disposes_the_launcher_once(instance: Instance) -> None:
    before = TalkingLauncher.disposed
    instance.close()
    assert TalkingLauncher.disposed == before, "a launcher that was never built has nothing to close"

    health = instance.launcher.check("r", WorkerHandle("x"))  # type: ignore[attr-defined]
    instance.close()
    instance.close()

    assert health.state is HealthState.UNKNOWN
    assert TalkingLauncher.disposed == before + 1
