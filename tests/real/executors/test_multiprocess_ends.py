"""Every way in which a step's process can end is seen, told apart, and loses nothing."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from runplane.events.causes import FailureCause
from runplane.executors.processes import step_processes
from services.multiprocess_room import Room, wait_until_gone

SEEN_WITHIN_S = 1.0
AT_ONCE = 40
"""Children beside each other: a multiple of the ways to end."""
ENDS = 3
"""On a busy machine one may take longer; what is looked for once in a while is late each time."""


@pytest.mark.parametrize("settings", [{}, {"fork": False, "import_here": False}], ids=["template", "spawn"])
@pytest.mark.parametrize(
    ("step", "cause", "evidence"),
    [
        ("silent", FailureCause.FRAMEWORK, "its code returned without an outcome"),
        ("exit_code", FailureCause.CRASHED, "its process left with exit code 3 in the middle of the step (os._exit)"),
        ("sys_exit", FailureCause.CRASHED, "it called sys.exit(4)"),
        ("kill", FailureCause.CRASHED, "its process was killed by SIGKILL"),
        ("segv", FailureCause.CRASHED, "its process was killed by SIGSEGV"),
        ("bus", FailureCause.CRASHED, "its process was killed by SIGBUS"),
        ("abort", FailureCause.CRASHED, "its process was killed by SIGABRT"),
        ("memory", FailureCause.OUT_OF_MEMORY, "Python found no more memory (MemoryError)"),
        ("broken", FailureCause.FRAMEWORK, "it ended by an error outside of user code: RuntimeError: ours"),
        ("close_pipe", FailureCause.CRASHED, "it closed its connection to the coordinator and went on"),
        (
            "garbage",
            FailureCause.CRASHED,
            "a step's process sent what is no message (got a length of 4294967295 bytes)",
        ),
        (
            "forked_grandchild",
            FailureCause.CRASHED,
            "its process left with exit code 5 in the middle of the step (os._exit)",
        ),
    ],
)
def test_each_end_is_told_apart(
    tmp_path: Path, settings: dict[str, Any], step: str, cause: FailureCause, evidence: str
) -> None:
    with Room(tmp_path, **settings) as room:
        seen_after = []
        for i in range(ENDS):
            gone = room.gone(room.start(f"{step}[{i}]"))
            seen_after.append(time.monotonic() - room.began())
            assert (gone.cause, gone.evidence) == (cause, evidence)
            if seen_after[-1] < SEEN_WITHIN_S:
                break

    assert min(seen_after) < SEEN_WITHIN_S


def test_what_was_written_before_the_death_comes_before_it(tmp_path: Path) -> None:
    with Room(tmp_path) as room:
        for step in ("kill", "exit_code"):
            ref = room.start(step)
            room.gone(ref)

            assert [e.body["message"] for e in room.events(ref)] == ["before"]


def test_a_frame_that_its_writer_did_not_live_to_finish_is_not_seen(tmp_path: Path) -> None:
    with Room(tmp_path) as room:
        ref = room.start("torn")

        assert room.gone(ref).evidence == "its process was killed by SIGKILL"
        assert [e.body["message"] for e in room.events(ref)] == ["whole"]


def test_a_success_is_no_death(tmp_path: Path) -> None:
    with Room(tmp_path) as room:
        first = room.start("ok")
        room.outcome(first)
        room.gone(room.start("kill"))

        assert first not in room.all_gone()


def test_a_file_that_took_the_connections_number_is_not_written_to(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    with Room(tmp_path, env={"PRECIOUS": str(precious)}) as room:
        gone = room.gone(room.start("close_pipe_and_write"))

    assert precious.read_text() == "mine"
    assert gone.cause is FailureCause.CRASHED or gone.cause is FailureCause.FRAMEWORK


def test_one_that_hangs_at_its_exit_is_killed_and_its_outcome_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert step_processes.EXIT_S == 10.0
    monkeypatch.setattr(step_processes, "EXIT_S", 0.5)
    with Room(tmp_path) as room:
        ref = room.start("hang_at_exit")
        outcome = room.outcome(ref)

        wait_until_gone([outcome.body["pid"]], 5)
        room.outcome(room.start("ok"))

        assert room.all_gone() == []


def test_exit_handlers_of_a_step_run_and_what_they_print_is_kept(tmp_path: Path) -> None:
    with Room(tmp_path) as room:
        ref = room.start("at_exit")
        room.outcome(ref)
        room.runner.close()

        assert room.printed(ref) == b"said at exit\n"


def test_exit_handlers_of_the_import_are_the_templates_own(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    with Room(tmp_path, f"import atexit, pathlib; atexit.register(pathlib.Path({str(marker)!r}).touch)") as room:
        room.outcome(room.start("ok"))
        room.runner.close()

    assert not marker.exists()


def test_what_a_step_left_running_in_its_group_ends_with_it(tmp_path: Path) -> None:
    with Room(tmp_path) as room:
        outcome = room.outcome(room.start("leave_grandchild"))

        wait_until_gone([outcome.body["grandchild"]], 5)


@pytest.mark.parametrize("count", [200, pytest.param(2000, marks=pytest.mark.long)])
def test_many_children_that_end_in_any_way(tmp_path: Path, count: int) -> None:
    ways = ["ok", "exit_code", "kill", "sys_exit", "bus", "silent", "torn", "memory"]
    with Room(tmp_path) as room:
        for first in range(0, count, AT_ONCE):
            refs = [room.start(f"{ways[i % len(ways)]}[{i}]") for i in range(first, first + AT_ONCE)]
            for i, ref in enumerate(refs):
                if i % len(ways) == 0:
                    room.outcome(ref)
                else:
                    room.gone(ref)

        ended = room.all_gone()
        assert len(ended) == len(set(ended)) == count - len(range(0, count, len(ways)))
