"""What a step prints is in its log's files, whatever happens to it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.multiprocess_room import Room


def test_what_was_printed_is_there_after_kill_9_of_the_step(tmp_path: Path) -> None:
    with Room(tmp_path) as room:
        ref = room.start("printing")
        room.gone(ref)

        assert room.printed(ref, "out") == b"to out\nby a child of the step\n"
        assert room.printed(ref, "err") == b"to err\n"


def test_a_log_is_complete_when_its_step_is_gone(tmp_path: Path) -> None:
    with Room(tmp_path) as room:
        room.gone(room.start("printing"))
        key = room.notes("LOGS_CAPTURED")[0].body["log_key"]

        assert room.store.read(key, "out", 0, 1000).complete is True


def test_each_step_has_a_log_of_its_own(tmp_path: Path) -> None:
    with Room(tmp_path) as room:
        for i in range(3):
            room.gone(room.start(f"printing[{i}]"))

        assert len({tuple(e.body["log_key"]) for e in room.notes("LOGS_CAPTURED")}) == 3


@pytest.mark.parametrize("kilobytes", [50 * 1024, pytest.param(1024 * 1024, marks=pytest.mark.long)])
def test_a_flood_of_output_costs_no_memory(tmp_path: Path, kilobytes: int) -> None:
    before = _rss_kb()
    with Room(tmp_path, env={"FLOOD_KB": str(kilobytes)}) as room:
        ref = room.start("flood")
        outcome = room.outcome(ref)
        room.runner.close()

    path = room.store.path(room.notes("LOGS_CAPTURED")[0].body["log_key"], "out")
    assert path.stat().st_size == kilobytes * 1024
    assert outcome.body["rss_kb"] < 50 * 1024
    assert _rss_kb() - before < 10 * 1024
    os.unlink(path)


def _rss_kb() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
