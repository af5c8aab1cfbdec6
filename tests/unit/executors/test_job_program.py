"""What the processes of a run's steps share: the code, and the run's config, read once before they are forked."""

from __future__ import annotations

from pathlib import Path

import pytest

from runplane.engine.snapshot import StepPlan
from runplane.events.event import NewEvent
from runplane.events.origin import FileCodePointer, JobOrigin, RepositoryOrigin
from runplane.events.run import Run
from runplane.executors.template.job_argument import JobArgument
from runplane.executors.template.job_program import load
from runplane.executors.template.wire import Task
from runplane.plan.compile import compile_plan
from runplane.storage.contract import AttemptRef

CODE = """
from runplane import job, op, StringSource

@op(config_schema={"word": StringSource})
def says(context):
    context.log.info(context.op_config["word"])

@job(config={"ops": {"says": {"config": {"word": {"env": "WORD"}}}}})
def speaking():
    says()
"""


@pytest.fixture
def argument(tmp_path: Path) -> JobArgument:
    (tmp_path / "speaking.py").write_text(CODE)
    pointer = FileCodePointer(str(tmp_path / "speaking.py"), "speaking", str(tmp_path))
    return JobArgument(Run("r", "speaking", JobOrigin("speaking", RepositoryOrigin("python", pointer))), tmp_path)


def performed(perform, plan: StepPlan) -> list[NewEvent]:
    events: list[NewEvent] = []
    perform(Task(plan, AttemptRef(plan.key, 1), 0, True, {}), events.append, lambda *_: None)
    return events


def plan_of(argument: JobArgument) -> StepPlan:
    from runplane.definitions.code_loading import load_job

    origin = argument.run.origin
    assert origin is not None
    return compile_plan(load_job(origin.repository_origin.code_pointer, origin.job_name)).steps[0]


def test_the_run_config_is_read_where_the_code_is_imported(
    argument: JobArgument, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORD", "hello")
    step = plan_of(argument)
    perform = load(argument)

    monkeypatch.delenv("WORD")
    events = performed(perform, step)

    assert [e.body["message"] for e in events if e.kind == "LOG"] == ["hello"]
    assert events[-1].kind == "STEP_SUCCESS"


def test_a_variable_that_is_not_set_is_the_steps_failure_not_the_imports(
    argument: JobArgument, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WORD", raising=False)
    step = plan_of(argument)

    events = performed(load(argument), step)

    assert events[-1].kind == "STEP_FAILURE"
    assert "WORD" in str(events[-1].body["error"])
