"""How the command behaves among other programs: pipes, interrupts, terminals, shells."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runplane.events.event import NewEvent
from runplane.events.kinds import EventKind as K
from runplane.instance.instance import Instance, RunRequest
from runplane.storage.contract import Owner

RUNPLANE = [sys.executable, "-m", "runplane"]
LINES = 3000


@pytest.fixture
def live(home: Path) -> str:
    """A run that goes on, with many events."""
    with Instance.from_home(home) as instance:
        run_id = instance.create(RunRequest("nightly")).run_id
        start = NewEvent(K.RUN_START, None, None, {}, time.time())
        notes = [NewEvent(K.ENGINE_EVENT, None, None, {"message": f"{i} " + "x" * 80}, i) for i in range(LINES)]
        for first in range(0, LINES, 500):
            instance.journal.annotate(run_id, notes[first : first + 500])
        captured = NewEvent(K.LOGS_CAPTURED, None, None, {"log_key": [run_id, "compute_logs", "abc"]}, time.time())
        instance.journal.claim_run(run_id, Owner("w", "h", "b", 1, 1), [captured], start)
        (home / "storage" / run_id / "compute_logs").mkdir(parents=True)
        (home / "storage" / run_id / "compute_logs" / "abc.out").write_text("printed\n")
    return run_id


@pytest.mark.parametrize("verb", [["run", "events"], ["run", "events", "--json"], ["run", "show", "--json"]])
def test_a_reader_that_leaves_early_is_no_error(live: str, verb: list[str]) -> None:
    done = subprocess.run(
        ["bash", "-c", '"$@" | head -n 1', "bash", *RUNPLANE, *verb, live], capture_output=True, text=True, check=False
    )

    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


@pytest.mark.parametrize("verb", [["run", "events", "--follow"], ["run", "logs", "--follow"], ["run", "watch"]])
def test_ctrl_c_in_a_follower_is_130_without_a_traceback(live: str, verb: list[str]) -> None:
    ours, theirs = pty.openpty()
    follower = subprocess.Popen(
        [*RUNPLANE, *verb, live], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    seen = os.read(ours, 65536)
    follower.send_signal(signal.SIGINT)
    try:
        while chunk := os.read(ours, 65536):
            seen += chunk
    except OSError:
        pass  # the other end is closed
    os.close(ours)

    assert follower.wait(timeout=60) == 130
    assert b"Traceback" not in seen


def on_a_terminal(*words: str, **env: str) -> str:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*RUNPLANE, *words], stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm", **env}
    )
    os.close(theirs)
    seen = b""
    try:
        while chunk := os.read(ours, 65536):
            seen += chunk
    except OSError:
        pass  # the other end is closed
    os.close(ours)
    process.wait()
    return seen.decode()


def test_colours_are_for_terminals_and_for_who_wants_them(live: str, runplane) -> None:
    with_colour = on_a_terminal("run", "list")

    assert "\x1b[" in with_colour
    assert "\x1b[" not in on_a_terminal("run", "list", NO_COLOR="1")
    assert "\x1b[" not in runplane("run", "list").stdout


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("runplane r", {"run"}),
        ("runplane run ret", {"retry"}),
        ("runplane run purge --older", {"--older-than"}),
        ("runplane run list --status STARTE", {"started"}),
        ("runplane completion b", {"bash"}),
    ],
)
def test_bash_completes(home: Path, line: str, offered: set[str]) -> None:
    assert in_bash(line) == offered


def test_bash_completes_the_id_of_a_run(live: str) -> None:
    assert in_bash(f"runplane run show {live[:5]}") == {live}
    assert in_bash("runplane run show zzz") == set()


def test_a_home_that_is_wrong_is_no_noise_while_completing(home: Path) -> None:
    (home / "dagster.yaml").write_text("no: [such")

    assert in_bash("runplane run show a") == set()


def in_bash(line: str) -> set[str]:
    """What a real bash offers for the last word of a line."""
    words = line.split(" ")
    bin_folder = Path.cwd() / "bin"
    bin_folder.mkdir(exist_ok=True)
    program = bin_folder / "runplane"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nsys.argv[0] = 'runplane'\nfrom runplane.cli.main import main\nmain()\n"
    )
    program.chmod(0o755)
    script = f"""
        export PATH={bin_folder}:$PATH
        eval "$(runplane completion bash)" || exit 1
        COMP_WORDS=({" ".join(words)}); COMP_CWORD={len(words) - 1}; COMPREPLY=()
        $(complete -p runplane | sed -E 's/.*-F ([^ ]+).*/\\1/') runplane
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return set(done.stdout.split())


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_what_other_shells_read_is_of_their_language(runplane, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    file = Path(f"completion.{shell}")
    file.write_text(runplane("completion", shell).stdout)

    subprocess.run([shell, "-n", str(file)], check=True)
