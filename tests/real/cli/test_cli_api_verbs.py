"""``api``: how the document is given, and the exit codes."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from runplane.engine.snapshot import PlanSnapshot
from runplane.errors.exit_codes import ExitCode
from runplane.events.argv import DOCUMENT_FD_ENV, RUN_ARGS_ENV
from runplane.events.requests import ExecuteRunArgs, ExecuteStepArgs, ResumeRunArgs
from runplane.events.run import Run
from runplane.events.wire import to_compressed, to_text
from runplane.instance.instance import Instance, RunRequest
from runplane.locations.subprocess_source import SubprocessCodeSource
from runplane.locations.target import CodeRequest, CodeTarget


@pytest.fixture
def created(home: Path, jobs_file: Path):
    """Make a run of a job of the file, NOT_STARTED."""

    def create(job: str) -> Run:
        target = CodeTarget(python_file=str(jobs_file), working_directory=str(jobs_file.parent))
        with SubprocessCodeSource(CodeRequest(target=target)) as source:
            plan = source.snapshot(job)
            assert isinstance(plan, PlanSnapshot)
            origin = source.origin(job)
        with Instance.from_home(home) as instance:
            return instance.create(RunRequest(job, origin, plan))

    return create


def document(home: Path, run: Run, cls: type = ExecuteRunArgs, **more: object) -> str:
    assert run.origin is not None
    return to_text(cls(Instance.from_home(home).ref, run.origin, run.run_id, **more))


def status(home: Path, run: Run) -> str:
    with Instance.from_home(home) as instance:
        return instance.runs.get(run.run_id).status.value


@pytest.mark.parametrize("verb", ["execute_run", "execute_step"])
@pytest.mark.parametrize("words", [[], ["{}", "--compressed-input-json", "x"]])
def test_neither_or_both_documents_is_1(runplane, verb: str, words: list[str]) -> None:
    done = runplane("api", verb, *words)

    assert (done.exit_code, done.stdout) == (1, "")
    assert "exactly one" in done.stderr


def test_resume_run_without_a_document_is_2(runplane) -> None:
    done = runplane("api", "resume_run")

    assert done.exit_code == 2
    assert "INPUT_JSON" in done.stderr


@pytest.mark.parametrize("given", ["argument", "compressed", "variable", "compressed variable", "variable of click's"])
def test_a_run_is_executed_however_its_document_is_given(
    created, home: Path, as_process, given: str, tmp_path: Path
) -> None:
    run = created("doubling")
    plain = document(home, run)
    packed = to_compressed(ExecuteRunArgs(Instance.from_home(home).ref, run.origin, run.run_id))
    words, env = {
        "argument": ([plain], {}),
        "compressed": (["--compressed-input-json", packed], {}),
        "variable": ([], {"DAGSTER_EXECUTE_RUN_ARGS": plain}),
        "compressed variable": ([], {"DAGSTER_COMPRESSED_EXECUTE_RUN_ARGS": packed}),
        "variable of click's": ([], {"DAGSTER_CLI_API_EXECUTE_RUN_COMPRESSED_INPUT_JSON": packed}),
    }[given]

    done = as_process("api", "execute_run", *words, **env)

    assert (done.returncode, done.stdout) == (0, "")
    assert status(home, run) == "SUCCESS"


@pytest.mark.parametrize(("flag", "code"), [(False, 0), (True, 1)])
def test_a_run_that_fails_is_0_unless_the_document_says_otherwise(
    created, home: Path, as_process, flag: bool, code: int
) -> None:
    run = created("failing")

    done = as_process("api", "execute_run", document(home, run, set_exit_code_on_failure=flag))

    assert done.returncode == code
    assert status(home, run) == "FAILURE"


def test_a_run_that_is_over_is_left_alone(created, home: Path, as_process) -> None:
    run = created("doubling")
    as_process("api", "execute_run", document(home, run))

    done = as_process("api", "execute_run", document(home, run, set_exit_code_on_failure=True))

    assert done.returncode == 0
    assert "Ignoring a run worker that started after the run had already finished." in done.stderr


def test_resume_run_takes_a_run_over(created, home: Path, as_process) -> None:
    run = created("doubling")

    done = as_process("api", "resume_run", document(home, run, ResumeRunArgs))

    assert done.returncode == 0
    assert status(home, run) == "SUCCESS"


def test_the_document_is_taken_out_of_the_environment(runplane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUN_ARGS_ENV, '{"__class__": "Nothing"}')

    done = runplane("api", "execute_run")

    assert done.exit_code == 2
    assert RUN_ARGS_ENV not in os.environ


@pytest.mark.parametrize("number", ["seven", "777"])
def test_a_descriptor_that_is_none_is_said_and_taken_out_of_the_environment(
    runplane, monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    monkeypatch.setenv(DOCUMENT_FD_ENV, number)

    done = runplane("api", "resume_run")

    assert done.exit_code == 1
    assert f"{DOCUMENT_FD_ENV}={number} is no descriptor that a document can be read from" in done.stderr
    assert DOCUMENT_FD_ENV not in os.environ


def test_without_an_instance_the_code_is_its_own(
    created, home: Path, runplane, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = created("doubling")
    monkeypatch.delenv("DAGSTER_HOME")

    done = runplane("api", "execute_run", to_text(ExecuteRunArgs(None, run.origin, run.run_id)))

    assert done.exit_code == ExitCode.NO_INSTANCE
    assert "DAGSTER_HOME" in done.stderr
    assert status(home, run) == "NOT_STARTED"


def test_a_database_that_stays_away_has_a_code_of_its_own(
    created, home: Path, runplane, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = created("doubling")
    (home / "dagster.yaml").write_text("storage: {postgres: {postgres_url: 'postgresql://a:b@127.0.0.1:9/none'}}\n")
    monkeypatch.setenv("RUNPLANE_DB_START_WAIT", "0.3")

    done = runplane("api", "execute_run", to_text(ExecuteRunArgs(None, run.origin, run.run_id)))

    assert done.exit_code == ExitCode.DATABASE_UNREACHABLE
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("verb", ["execute_run", "resume_run", "execute_step"])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{nope", "JSON"),
        ('{"__class__": "ExecuteRunArg"}', "ExecuteRunArg"),
        ('{"__class__": "KnownExecutionState"}', "KnownExecutionState"),
        ("eJyLVsrNz1OyMtJRKkrMS8/JVLLK", "cut short"),
    ],
)
def test_a_document_that_can_not_be_used_is_a_sentence(runplane, home: Path, verb: str, text: str, words: str) -> None:
    done = runplane("api", verb, text)

    assert (done.exit_code, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert list(home.iterdir()) == []


def test_a_run_that_is_not_stored_is_1(created, home: Path, runplane) -> None:
    run = created("doubling")
    other = replace(run, run_id="00000000-0000-4000-8000-000000000000")

    done = runplane("api", "execute_run", document(home, other))

    assert done.exit_code == 1
    assert "no run '00000000-0000-4000-8000-000000000000'" in done.stderr


def test_a_step_that_the_plan_does_not_have_is_1(created, home: Path, runplane) -> None:
    run = created("doubling")
    args = ExecuteStepArgs(Instance.from_home(home).ref, run.origin, run.run_id, step_keys=("doubl",))

    done = runplane("api", "execute_step", to_text(args))

    assert done.exit_code == 1
    assert "'double'" in done.stderr


def test_a_fault_of_ours_is_a_sentence_and_a_traceback_when_asked_for(
    created, home: Path, runplane, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = created("doubling")

    def broken(*_: object) -> None:
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr("runplane.workers.run.execute_run", broken)

    quiet = runplane("api", "execute_run", document(home, run))
    monkeypatch.setenv("RUNPLANE_TRACEBACK", "1")
    loud = runplane("api", "execute_run", document(home, run))

    assert (quiet.exit_code, loud.exit_code) == (1, 1)
    assert "ZeroDivisionError: of ours" in quiet.stderr
    assert "Traceback" not in quiet.stderr
    assert "Traceback" in loud.stderr


def test_secrets_of_a_request_are_not_in_what_ps_shows(created, home: Path, jobs_file: Path, as_process) -> None:
    """The worker of `job execute` gets its document by an inherited descriptor."""
    (jobs_file.parent / "looks.py").write_text(
        "from pathlib import Path\n"
        "from runplane import in_process_executor, job, op\n"
        "@op\n"
        "def looks():\n"
        "    Path('cmdline').write_bytes(Path('/proc/self/cmdline').read_bytes())\n"
        "@job(executor_def=in_process_executor)\n"
        "def looking():\n"
        "    looks()\n"
    )

    as_process("job", "execute", "-f", jobs_file.parent / "looks.py")

    words = Path("cmdline").read_bytes().split(b"\0")
    assert words[-4:] == [b"runplane", b"api", b"execute_run", b""]
