"""A user's ``@executor`` function, from the command to the steps."""

from __future__ import annotations

import json
import textwrap
import uuid
from pathlib import Path

import pytest

JOB = """
from runplane import Definitions, job, op
{imports}


@op
def one(context):
    context.log.info("one runs")
    return 1


@job(executor_def={executor})
def numbers():
    one()
"""
FUNCTION = """
from runplane import InitExecutorContext, executor
from runplane.executors.in_process import InProcessExecutor
from runplane.executors.multiprocess import MultiprocessExecutor


@executor(name="mine", config_schema={"twice": int})
def my_executor(init_context: InitExecutorContext):
    '''What Dagster gives, and what ours gives beside it.'''
    assert init_context.job.name == "numbers"
    assert init_context.executor_def.name == "mine"
    assert init_context.instance.runs.get(init_context.run.run_id).job_name == init_context.plan.job_name
    (init_context.home / "twice").write_text(str(2 * init_context.executor_config["twice"]))
    return MultiprocessExecutor.from_config({"max_concurrent": 1}, init_context)


@executor
def of_nothing(init_context):
    return ["no", "executor"]


@executor
def broken(init_context):
    raise LookupError("no cluster of that name")


def make(init_context):
    return InProcessExecutor.from_config({}, init_context)


renamed = executor(name="renamed")(make)


class Folder:
    @executor
    def inside(init_context):
        return InProcessExecutor.from_config({}, init_context)


def hidden():
    @executor
    def local(init_context):
        return InProcessExecutor.from_config({}, init_context)

    return local
"""


def executed(tmp_path: Path, as_process, file: Path, *words: str) -> tuple[int, str, list[dict]]:
    run_id = str(uuid.uuid4())
    done = as_process("job", "execute", "-f", file, "--run-id", run_id, *words)
    shown = as_process("run", "events", run_id, "--json")
    return done.returncode, done.stdout + done.stderr, [json.loads(line) for line in shown.stdout.splitlines()]


def job_file(tmp_path: Path, executor: str, imports: str = FUNCTION, name: str = "users_job.py") -> Path:
    file = tmp_path / name
    file.write_text(textwrap.dedent(JOB).format(imports=imports, executor=executor))
    return file


@pytest.mark.parametrize("name", ["users_job.py", "json.py"], ids=["own-name", "the name of another module"])
def test_a_function_in_the_jobs_own_file_makes_the_executor(home: Path, tmp_path: Path, as_process, name: str) -> None:
    file = job_file(tmp_path, "my_executor", name=name)

    code, text, events = executed(
        tmp_path, as_process, file, "--config-json", '{"execution": {"config": {"twice": 4}}}'
    )

    assert code == 0, text
    assert "one runs" in [e["body"].get("message") for e in events]
    assert any(e["kind"] == "STEP_WORKER_STARTED" for e in events)
    assert (home / "twice").read_text() == "8"


@pytest.mark.parametrize("executor", ["my_executors.renamed", "my_executors.Folder.inside"])
def test_a_function_in_a_module_beside_the_file(home: Path, tmp_path: Path, as_process, executor: str) -> None:
    (tmp_path / "my_executors.py").write_text(FUNCTION)
    file = job_file(tmp_path, executor, imports="import my_executors")

    code, text, _ = executed(tmp_path, as_process, file)

    assert code == 0, text


@pytest.mark.parametrize(
    ("executor", "said"),
    [
        ("of_nothing", "the function 'of_nothing' did not return an executor"),
        ("broken", "LookupError: no cluster of that name"),
        ("hidden()", "there is no 'hidden.<locals>.local'"),
    ],
)
def test_a_function_that_makes_none_fails_the_run_by_name(
    home: Path, tmp_path: Path, as_process, executor: str, said: str
) -> None:
    code, text, events = executed(tmp_path, as_process, job_file(tmp_path, executor))

    assert code == 1
    assert said in text
    failure = next(e for e in events if e["kind"] == "RUN_FAILURE")
    assert failure["body"]["reason"] == "JOB_INITIALIZATION_FAILURE"
    assert said in failure["body"]["message"]
