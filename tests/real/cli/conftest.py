"""A home, a file of jobs, and the command: called in this process, or as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from runplane.cli.main import root

JOBS = """
import os
import time
from runplane import Definitions, DynamicOut, DynamicOutput, Failure, Out, RetryPolicy, in_process_executor, job, op


@op(config_schema={"n": int})
def number(context):
    print("counted", context.op_config["n"], flush=True)
    return context.op_config["n"]


@op
def double(n):
    return 2 * n


@job(config={"ops": {"number": {"config": {"n": 4}}}}, description="Doubles a number.")
def doubling():
    double(number())


@op
def cause():
    try:
        {}["key"]
    except KeyError as error:
        raise ValueError("not worked out") from error


@op
def first():
    return 1


@op
def breaks_once(n):
    if not os.path.exists("mended"):
        raise ValueError("not mended yet")
    return n


@job(executor_def=in_process_executor)
def failing():
    cause()


@job(executor_def=in_process_executor)
def mendable():
    double(breaks_once(first()))


@op
def sleeps():
    open("asleep", "w").close()
    time.sleep(60)


@job(executor_def=in_process_executor)
def sleeping():
    sleeps()


@op
def does_not_listen():
    open("asleep", "w").close()
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass


@job(executor_def=in_process_executor)
def stubborn():
    does_not_listen()
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, named by the environment."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def jobs() -> str:
    """Code of some jobs, and no Definitions."""
    return JOBS


@pytest.fixture
def jobs_file(tmp_path: Path, jobs: str) -> Path:
    """A file of them."""
    file = tmp_path / "some_jobs.py"
    file.write_text(jobs)
    return file


Call = Callable[..., Result]


@pytest.fixture
def runplane() -> Call:
    """The command, called in this process."""

    def call(*words: str | Path, given: str | bytes | None = None) -> Result:
        return CliRunner().invoke(root, [str(word) for word in words], input=given, catch_exceptions=False)

    return call


@pytest.fixture
def as_process() -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command, called as a process of its own."""

    def call(*words: str | Path, given: str | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "runplane", *map(str, words)]
        return subprocess.run(
            command, check=False, capture_output=True, text=True, input=given, env={**os.environ, **env}, timeout=60
        )

    return call
