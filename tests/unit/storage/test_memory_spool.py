"""Logs in memory: who prints waits as long as there is no room and somebody makes some."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runplane.storage import memory_spool
from runplane.storage.memory_spool import MOST_BYTES, Spooled
from runplane.storage.s3 import room


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[int]:
    """A file that is full."""
    fd = os.open(tmp_path / "log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.write(fd, b"x" * (MOST_BYTES + 4096))
    os.fsync(fd)
    yield fd
    os.close(fd)


@pytest.fixture
def uploader(spool: int, tmp_path: Path) -> Iterator[int]:
    """Who makes room."""
    fd = os.open(tmp_path / "log", os.O_RDWR)
    room.attend(fd)
    yield fd
    os.close(fd)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when the writer has looked in vain."""
    seen = threading.Event()
    pause = threading.Event()
    monkeypatch.setattr("time.sleep", lambda seconds: (seen.set(), pause.wait(seconds)))
    return seen


def test_who_prints_waits_until_there_is_room(
    spool: int, uploader: int, waits: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_spool, "NOBODY_S", 0.0)
    size = os.fstat(spool).st_size
    writer = threading.Thread(target=Spooled(spool).write, args=(b"more",))
    writer.start()
    assert waits.wait(60)
    waits.clear()
    assert waits.wait(60)
    assert os.fstat(spool).st_size == size, "nothing is written as long as it is full"

    room.free(uploader, 0, MOST_BYTES)
    writer.join(60)

    assert not writer.is_alive()
    assert os.fstat(spool).st_size == size + 4


def test_where_nobody_makes_room_it_is_written_all_the_same(spool: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_spool, "NOBODY_S", 0.1)
    size = os.fstat(spool).st_size

    assert Spooled(spool).write(b"more") == 4

    assert os.fstat(spool).st_size == size + 4


def refusing(times: int) -> Callable[[int, memoryview], int]:
    """A write for which there is no room so often."""
    real, left = os.write, [times]

    def write(descriptor: int, data: memoryview) -> int:
        if left[0]:
            left[0] -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data)

    return write


def test_a_file_system_that_is_full_is_waited_for(
    tmp_path: Path, waits: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "log").open("wb") as file:
        monkeypatch.setattr(os, "write", refusing(3))

        assert Spooled(file.fileno()).write(b"kept") == 4

    assert waits.is_set()
    assert (tmp_path / "log").read_bytes() == b"kept"


def test_a_file_system_that_stays_full_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_spool, "NOBODY_S", 0.1)
    monkeypatch.setattr(os, "write", refusing(10**9))

    with (tmp_path / "log").open("wb") as file, pytest.raises(OSError, match="No space left"):
        Spooled(file.fileno()).write(b"lost")


def test_what_was_freed_is_known_by_the_file(spool: int, uploader: int) -> None:
    assert room.freed_to(uploader) == 0

    room.free(uploader, 0, MOST_BYTES)
    assert room.freed_to(uploader) == MOST_BYTES

    room.free(uploader, MOST_BYTES, 4096)
    assert room.freed_to(uploader) == MOST_BYTES + 4096 == os.fstat(spool).st_size
