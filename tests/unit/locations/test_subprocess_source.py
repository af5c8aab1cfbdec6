"""A code location asked in a child process."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from runplane.definitions.code_loading import load_job
from runplane.engine.snapshot import PlanSnapshot, StoredOutput
from runplane.errors import Problem, RunplaneError
from runplane.errors.exit_codes import ExitCode
from runplane.events.origin import FileCodePointer, ModuleCodePointer, PackageCodePointer
from runplane.locations.subprocess_source import SubprocessCodeSource
from runplane.locations.target import CodeRequest, CodeTarget
from runplane.storage.liveness import start_time

ONE = """
from runplane import Definitions, job, op

@op(config_schema={"n": int})
def first(context):
    return context.op_config["n"]

@op
def second(n):
    return n

@job(description="Two ops.", tags={"team": "a"})
def two():
    second(first())

defs = Definitions(jobs=[two])
"""
SEVERAL = """
from runplane import job, op

@op
def an_op():
    return 1

@job
def a():
    an_op()

@job
def b():
    an_op()
"""


def source(folder: Path, text: str, attribute: str | None = None, **more: float) -> SubprocessCodeSource:
    file = folder / "definitions.py"
    file.write_text(text)
    target = CodeTarget(python_file=str(file), attribute=attribute, working_directory=str(folder))
    return SubprocessCodeSource(CodeRequest(target=target), **more)


def refused(asked: SubprocessCodeSource) -> RunplaneError:
    with asked, pytest.raises(RunplaneError) as error:
        asked.jobs()
    assert error.value.exit_code is ExitCode.BAD_INPUT
    return error.value


def test_jobs_of_a_definitions_object(tmp_path: Path) -> None:
    with source(tmp_path, ONE) as asked:
        (job,) = asked.jobs()
        origin = asked.origin("two")

    assert (job.name, job.description, job.tags, job.ops) == ("two", "Two ops.", {"team": "a"}, ("first", "second"))
    assert origin.repository_origin.executable_path == sys.executable
    assert origin.repository_origin.code_pointer == FileCodePointer(
        str(tmp_path / "definitions.py"), "defs", str(tmp_path)
    )


def test_each_of_several_jobs_without_definitions_is_found_again_by_its_own_pointer(tmp_path: Path) -> None:
    with source(tmp_path, SEVERAL) as asked:
        names = [job.name for job in asked.jobs()]
        pointer = asked.origin("b").repository_origin.code_pointer

    assert names == ["a", "b"]
    assert load_job(pointer, "b").name == "b"


@pytest.mark.parametrize("kind", ["module", "package"])
def test_a_module_and_a_package(tmp_path: Path, kind: str) -> None:
    (tmp_path / "of_mine_here.py").write_text(ONE)
    named = {"module_name": "of_mine_here"} if kind == "module" else {"package_name": "of_mine_here"}
    target = CodeTarget(**named, working_directory=str(tmp_path))

    with SubprocessCodeSource(CodeRequest(target=target)) as asked:
        pointer = asked.origin("two").repository_origin.code_pointer

    expected = ModuleCodePointer if kind == "module" else PackageCodePointer
    assert pointer == expected("of_mine_here", "defs", str(tmp_path))


def test_the_code_of_a_stored_run(tmp_path: Path) -> None:
    with source(tmp_path, ONE) as asked:
        pointer = asked.origin("two").repository_origin.code_pointer

    with SubprocessCodeSource(CodeRequest(pointer=pointer)) as again:
        assert [job.name for job in again.jobs()] == ["two"]
        assert again.origin("two").repository_origin.code_pointer == pointer


def test_a_plan_crosses_whole(tmp_path: Path) -> None:
    known = StoredOutput("r", "first", "result", None, {"path": "/x"})
    with source(tmp_path, ONE) as asked:
        plan = asked.snapshot(
            "two", run_config={"ops": {"first": {"config": {"n": 1}}}}, step_keys=["second"], known=[known]
        )

    assert isinstance(plan, PlanSnapshot)
    assert [step.key for step in plan.steps] == ["second"]
    assert plan.known_outputs == (known,)
    assert plan.tags == {"team": "a"}


def test_what_is_wrong_with_run_config_comes_as_problems(tmp_path: Path) -> None:
    with source(tmp_path, ONE) as asked:
        found = asked.snapshot("two", run_config={"ops": {"frst": {}}})
        plan = asked.snapshot("two", run_config={"ops": {"first": {"config": {"n": 1}}}}, selection=["first"])

    assert isinstance(found, list)
    assert [(p.path, p.suggestion) for p in found if isinstance(p, Problem)] == [
        ("ops.frst", "first"),
        ("ops.first.config", None),
    ]
    assert isinstance(plan, PlanSnapshot)


def test_the_nearest_job_is_named(tmp_path: Path) -> None:
    with source(tmp_path, ONE) as asked, pytest.raises(RunplaneError) as error:
        asked.snapshot("to")

    assert error.value.nearest == "two"


def test_a_failing_import_is_told_by_the_users_own_frames(tmp_path: Path) -> None:
    (tmp_path / "helper_of_mine.py").write_text("def helps():\n    raise ValueError('no') from KeyError('k')\n")

    text = str(refused(source(tmp_path, "import helper_of_mine\nhelper_of_mine.helps()\n")))

    files = [line.split('"')[1] for line in text.splitlines() if line.strip().startswith('File "')]
    assert files == [str(tmp_path / "definitions.py"), str(tmp_path / "helper_of_mine.py")]
    assert "KeyError: 'k'" in text
    assert text.endswith("ValueError: no")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import os\nos._exit(7)\n", "exit code 7"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n", "SIGKILL"),
        ("import sys\nsys.exit('enough')\n", "SystemExit: enough"),
        ("x = 1\n", "no Definitions object, job, graph or asset"),
        ("from runplane import Definitions\na = Definitions()\nb = Definitions()\n", "-a NAME"),
    ],
)
def test_code_that_gives_no_jobs_is_refused(tmp_path: Path, text: str, words: str) -> None:
    assert words in str(refused(source(tmp_path, text)))


def test_what_is_printed_and_read_in_an_import_does_not_disturb(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    noisy = (
        "import os, sys\nprint('{}')\nos.write(1, b'raw')\nprint('e', file=sys.stderr)\nassert sys.stdin.read() == ''\n"
    )

    with source(tmp_path, noisy + ONE) as asked:
        assert [job.name for job in asked.jobs()] == ["two"]

    out, err = capfd.readouterr()
    assert out == ""
    assert [word for word in ("{}", "raw", "e\n") if word not in err] == []


def test_an_import_that_takes_too_long_is_ended_and_its_place_named(tmp_path: Path) -> None:
    began = time.monotonic()
    asked = source(tmp_path, "import time\n\ndef wait():\n    time.sleep(60)\n\nwait()\n", timeout_s=5.0)

    error = refused(asked)

    assert time.monotonic() - began < 50
    assert "has not finished importing after 5 s" in error.message
    places = [line.strip() for line in error.message.splitlines()[1:] if line.strip()]
    assert places == [
        f'File "{tmp_path}/definitions.py", line 6 in <module>',
        f'File "{tmp_path}/definitions.py", line 4 in wait',
    ]
    assert "RUNPLANE_LOCAL_STARTUP_TIMEOUT" in str(error)
    assert start_time(asked._child.pid) is None


def test_the_child_ends_when_its_asker_does(tmp_path: Path) -> None:
    asked = source(tmp_path, "import time\ntime.sleep(60)\n")

    asked._close_pipes()  # what the kernel does for an asker that was killed

    assert asked._child.wait(timeout=20) == 0


def test_a_python_that_is_not_there_is_named(tmp_path: Path) -> None:
    target = CodeTarget(python_file=str(tmp_path / "definitions.py"))

    with pytest.raises(RunplaneError, match="/no/such/python"):
        SubprocessCodeSource(CodeRequest(target=target), python="/no/such/python")


def test_the_asker_imports_no_user_code(tmp_path: Path) -> None:
    (tmp_path / "seen_by_the_child_only.py").write_text("")

    with source(tmp_path, "import seen_by_the_child_only\n" + ONE) as asked:
        asked.jobs()

    assert "seen_by_the_child_only" not in sys.modules
