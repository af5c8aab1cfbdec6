"""Processes that a warm Python starts: what they are given, how their ends are told, and that none is left over."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runplane.testing import warm
from runplane.testing.warm import WarmPython

END_S = 60.0
PROGRAMS = """
import json, os, signal, sys, time

def tells():
    print(json.dumps({"argv": sys.argv[1:], "environment": dict(os.environ), "cwd": os.getcwd(), "stdin": sys.stdin.read(),
                      "loaded": "decimal" in sys.modules, "ours": [name for name in sys.modules if name.startswith("runplane")]}), flush=True)
    print("to stderr", file=sys.stderr)

def exits():
    sys.exit(int(sys.argv[1]))

def raises():
    raise RuntimeError("what went wrong")

def is_killed():
    os.kill(os.getpid(), int(sys.argv[1]))
    time.sleep(60)

def sleeps():
    print("child of", os.getppid(), flush=True)
    time.sleep(600)
"""


class Room:
    """A warm Python, and the programs that it starts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = folder / "output"
        self.python = WarmPython(["decimal"])
        (folder / "programs_of_warm.py").write_text(PROGRAMS)

    def start(self, program: str, *argv: str, **env: str) -> None:
        self.python.start(
            f"programs_of_warm:{program}",
            argv,
            env=env,
            cwd=self.folder,
            output=self.output,
            paths=[str(self.folder)],
        )

    def wait_for_output(self, text: str) -> None:
        end = time.monotonic() + END_S
        while not self.output.exists() or text not in self.output.read_text():
            assert time.monotonic() < end, f"no {text!r} within {END_S} s"
            time.sleep(0.01)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path)
    yield made
    made.python.close()


def lives(pid: int) -> bool:
    """A process that ended and was waited for is not there any more."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_process_has_the_words_the_environment_and_the_folder_that_it_is_given(room: Room) -> None:
    room.start("tells", "--twice", "a b", ONLY="this")

    assert room.python.wait(END_S) == 0
    told, beside = room.output.read_text().splitlines()
    assert json.loads(told) == {
        "argv": ["--twice", "a b"],
        "environment": {"ONLY": "this"},
        "cwd": str(room.folder.resolve()),
        "stdin": "",
        "loaded": True,
        "ours": [],
    }
    assert beside == "to stderr"


def test_what_one_leaves_behind_is_not_seen_by_the_next(room: Room) -> None:
    room.start("tells", FIRST="1")
    room.python.wait(END_S)
    room.start("tells", SECOND="2")
    room.python.wait(END_S)

    told = [json.loads(line) for line in room.output.read_text().splitlines() if line != "to stderr"]

    assert [one["environment"] for one in told] == [{"FIRST": "1"}, {"SECOND": "2"}], "output is added to what is there"


@pytest.mark.parametrize("code", [0, 3, 255])
def test_an_exit_code_is_told(room: Room, code: int) -> None:
    room.start("exits", str(code))

    assert room.python.wait(END_S) == code


def test_an_error_is_code_1_and_stands_in_the_output(room: Room) -> None:
    room.start("raises")

    assert room.python.wait(END_S) == 1
    assert "RuntimeError: what went wrong" in room.output.read_text()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_signal_is_a_negative_code(room: Room, number: signal.Signals) -> None:
    room.start("is_killed", str(int(number)))

    assert room.python.wait(END_S) == -number


def test_one_that_goes_on_is_not_waited_for_any_longer_than_asked(room: Room) -> None:
    room.start("sleeps")
    room.wait_for_output("child of")

    with pytest.raises(TimeoutError, match=f"process {room.python.pid} has not ended within 0.05 s"):
        room.python.wait(0.05)
    assert room.python.runs

    room.python.send_signal(signal.SIGTERM)
    assert room.python.wait(END_S) == -signal.SIGTERM
    assert not room.python.runs


def test_a_signal_to_one_that_has_ended_does_nothing(room: Room) -> None:
    room.python.send_signal(signal.SIGKILL)
    room.python.kill()
    room.start("exits", "0")
    room.python.wait(END_S)

    room.python.send_signal(signal.SIGKILL)

    room.start("exits", "4")
    assert room.python.wait(END_S) == 4


def test_close_leaves_no_process(room: Room) -> None:
    room.start("sleeps")
    room.wait_for_output("child of")
    child, server = room.python.pid, int(room.output.read_text().split()[-1])

    room.python.close()

    assert child is not None
    assert not lives(child)
    assert not lives(server)


def test_idle_gives_one_that_is_free_and_starts_another_when_none_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm, "_STARTED", {})
    at_exit = []
    monkeypatch.setattr("atexit.register", at_exit.append)
    first = warm.idle(["decimal"])
    again = warm.idle(["decimal"])
    first.start("sys:exit", [], env={}, cwd=tmp_path, output=tmp_path / "output")

    second = warm.idle(["decimal"])
    other = warm.idle(["fractions"])
    first.wait(END_S)
    free = warm.idle(["decimal"])

    assert again is first
    assert second is not first
    assert other not in (first, second)
    assert free is first
    assert at_exit == [first.close, second.close, other.close], "they end with the process that asked"
    for close in at_exit:
        close()
