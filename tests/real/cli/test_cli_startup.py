"""What a start costs, and under which names and on which platforms the command can be called."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import runplane as package
from runplane.cli import main as main_module

HEAVY = {"kubernetes", "celery", "grpc", "rich", "pydantic", "alembic", "sqlalchemy"}
MODULES = (
    "import sys; import runpy; sys.argv = ['runplane', *{words}]\ntry:\n    {what}\nexcept SystemExit:\n    pass\n"
)
COMMAND = "runpy.run_module('runplane', run_name='__main__', alter_sys=True)"


def modules_after(what: str, words: list[str]) -> set[str]:
    """The modules that a fresh Python has loaded after `what`."""
    code = MODULES.format(words=words, what=what) + "print('\\n' + ' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("what", "words", "most"),
    [
        ("import runplane", [], 20),
        (COMMAND, ["--version"], 150),
        (COMMAND, ["--help"], 150),
        (COMMAND, ["api", "execute_step", "--help"], 210),
        (COMMAND, ["api", "execute_run", "--help"], 210),
    ],
)
def test_a_start_loads_few_modules_and_nothing_heavy(what: str, words: list[str], most: int) -> None:
    bare = modules_after("pass", [])

    loaded = modules_after(what, words) - bare

    assert {name.split(".")[0] for name in loaded} & HEAVY == set()
    assert len(loaded) <= most, sorted(loaded)


def test_the_version_is_that_of_the_package() -> None:
    done = CliRunner().invoke(main_module.root, ["--version"])

    assert done.output == f"runplane, version {package.__version__}\n"


def test_the_command_may_be_called_by_another_name(tmp_path: Path) -> None:
    linked = tmp_path / "dagster"
    linked.write_text(f"#!{sys.executable}\nfrom runplane.cli.main import main\nmain()\n")
    linked.chmod(0o755)

    done = subprocess.run([linked, "api", "execute_step", "--help"], check=True, capture_output=True, text=True)

    assert done.stdout.startswith("Usage: dagster api execute_step")


def test_on_windows_one_sentence_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(main_module.sys, "platform", "win32")

    with pytest.raises(SystemExit) as left:
        main_module.main()

    assert left.value.code == 2
    assert capsys.readouterr().err == "runplane runs on Linux and macOS; on Windows, use it inside WSL.\n"


def test_help_names_the_groups_for_people_and_hides_api() -> None:
    done = CliRunner().invoke(main_module.root, ["--help"])

    commands = done.output.split("Commands:")[1]
    assert [line.split()[0] for line in commands.splitlines() if line.startswith("  ") and line[2] != " "] == [
        "job",
        "run",
        "daemon",
        "celery",
        "asset",
        "k8s",
        "doctor",
        "instance",
        "args",
        "completion",
    ]


@pytest.mark.parametrize("group", ["api", "job", "run", "daemon", "celery", "asset", "k8s", "instance", "args"])
def test_every_group_and_verb_has_its_help(group: str) -> None:
    command = main_module.root.get_command(None, group)  # type: ignore[arg-type, attr-defined]
    assert command is not None

    for verb in command.commands:
        done = CliRunner().invoke(main_module.root, [group, verb, "--help"])

        assert done.exit_code == 0
        assert done.output.splitlines()[2].strip(), f"{group} {verb} says nothing of itself"


def test_a_closed_pipe_is_no_traceback(home: Path, jobs_file: Path) -> None:
    words = [sys.executable, "-m", "runplane", "job", "list", "--json", "-f", str(jobs_file)]
    reader, writer = os.pipe()
    os.close(reader)

    done = subprocess.run(words, check=False, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)

    assert "Traceback" not in done.stderr
