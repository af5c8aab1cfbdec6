"""``python_logs`` of an instance, in every process that runs steps."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest

from runplane.events.origin import FileCodePointer, JobOrigin, RepositoryOrigin
from runplane.events.requests import ExecuteStepArgs
from runplane.events.wire import to_text
from runplane.instance.instance import Instance, RunRequest
from runplane.storage.liveness import this_process
from runplane.workers.authority import acquire

JOB = """
import logging
from runplane import Definitions, job, op


@op
def talks(context):
    context.log.debug("low, by the op")
    context.log.warning("high, by the op")
    logging.getLogger("my.library").info("low, by a library")
    logging.getLogger("my.library").error("high, by a library")


@job
def talking():
    talks()
"""
HIGH = ["high, by the op", "high, by a library"]


@pytest.fixture
def file(home: Path, tmp_path: Path) -> Path:
    """A job, and a home whose instance has a handler and a level."""
    (home / "dagster.yaml").write_text(
        f"""
python_logs:
  managed_python_loggers: [my.library]
  python_log_level: warning
  dagster_handler_config:
    handlers:
      to_file: {{class: logging.FileHandler, filename: {tmp_path / "lines.txt"}, level: INFO, formatter: short}}
    formatters:
      short: {{format: "%(name)s: %(message)s"}}
"""
    )
    made = tmp_path / "talking.py"
    made.write_text(JOB)
    return made


def said(home: Path, run_id: str) -> list[str]:
    with Instance.from_home(home) as instance:
        return [e.body["message"] for e in instance.tail(run_id) if e.kind == "LOG"]


@pytest.mark.parametrize("executor", ["in_process", "multiprocess"])
def test_a_run_keeps_to_the_level_and_the_handlers_hear_it(
    home: Path, tmp_path: Path, file: Path, as_process, executor: str
) -> None:
    run_id = str(uuid.uuid4())
    config = json.dumps({"execution": {"config": {executor: {}}}})

    done = as_process("job", "execute", "-f", file, "--run-id", run_id, "--config-json", config)

    assert done.returncode == 0, done.stderr
    assert said(home, run_id) == HIGH
    assert (tmp_path / "lines.txt").read_text().splitlines() == [f"dagster: {HIGH[0]}", f"my.library: {HIGH[1]}"]


def test_a_step_of_its_own_does_too(home: Path, tmp_path: Path, file: Path, as_process) -> None:
    origin = JobOrigin("talking", RepositoryOrigin("python", FileCodePointer(str(file), "talking", str(tmp_path))))
    with Instance.from_home(home) as instance:
        run = instance.create(RunRequest("talking", origin=origin))
        acquire(instance.journal, run, this_process(), resumes_allowed=0)
        document = to_text(ExecuteStepArgs(instance.ref, origin, run.run_id, step_keys=("talks",)))

    done = as_process("api", "execute_step", document)

    assert done.returncode == 0, done.stderr
    assert said(home, run.run_id) == HIGH
    assert (tmp_path / "lines.txt").read_text().splitlines() == [f"dagster: {HIGH[0]}", f"my.library: {HIGH[1]}"]


def test_a_handler_that_can_not_be_made_fails_the_step_by_name(home: Path, file: Path, as_process) -> None:
    text = (home / "dagster.yaml").read_text().replace("logging.FileHandler", "logging.NoSuchHandler")
    (home / "dagster.yaml").write_text(text)

    done = as_process("job", "execute", "-f", file)

    assert done.returncode == 1
    assert "python_logs.dagster_handler_config.handlers.to_file" in done.stdout + done.stderr
